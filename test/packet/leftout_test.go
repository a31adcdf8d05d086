package packet

// whole stands for all steps of a recording.
const whole = -1

// leftOut are the steps, by recording and number, that do not come out as
// recorded yet, and why. One that does is an error: this table can only shrink.
var leftOut = merge(
	left("ICMP errors from inside a tunnel are left to the host", map[string][]int{
		"icmp-gre-v4":  {10, 11, 12, 13, 15},
		"icmp-gue-v4":  {10, 11, 12, 13, 15},
		"icmp-ipip-v4": {10, 11, 12, 13, 15},
	}),
	left("an answer of a host without the ipip module", map[string][]int{
		"fwmark-all":      {10},
		"fwmark-all-ipip": {10},
		"fwmark-all-nat":  {10},
	}),
	left("a fragment of no packet under way is forwarded, and spoils the next packet of the same identification", map[string][]int{
		"frag-dr-v6":         {13},
		"frag-gre-other-v6":  {13},
		"frag-gre-v6":        {13},
		"frag-gue-other-v6":  {13},
		"frag-gue-v6":        {13},
		"frag-ipip-other-v6": {13},
		"frag-ipip-v6":       {13},
		"frag-nat-v6":        {13},
	}),
	left("fragments that overtake the first are left to the kernel", map[string][]int{
		"frag-dr-v4":         {6},
		"frag-gre-other-v4":  {6},
		"frag-gre-v4":        {6},
		"frag-gue-other-v4":  {6},
		"frag-gue-v4":        {6},
		"frag-ipip-other-v4": {6},
		"frag-ipip-v4":       {6},
		"frag-nat-v4":        {6},
	}),
	left("a fragment that is the whole packet keeps its header; the kernel takes it off", map[string][]int{
		"ext-headers-dr":   {4},
		"ext-headers-gre":  {4},
		"ext-headers-gue":  {4},
		"ext-headers-ipip": {4},
		"ext-headers-nat":  {4},
	}),
	left("refusals for a tunnel without a route", map[string][]int{
		"unreachable-server":    {12, 13, 14, 15},
		"unreachable-server-v6": {11, 12, 13, 14},
	}),
	left("the data path does not fragment", map[string][]int{
		"toobig-dr-v4":         {17},
		"toobig-gre-other-v4":  {12, 17},
		"toobig-gre-v4":        {12, 17},
		"toobig-gue-other-v4":  {12, 17},
		"toobig-gue-v4":        {12, 17},
		"toobig-ipip-other-v4": {12, 17},
		"toobig-ipip-v4":       {12, 17},
		"toobig-nat-v4":        {17},
	}),
	left("the kernel loses these answers: it leaves the addresses out of the sum; they are delivered", map[string][]int{
		"local-server-v6": {22, 24},
	}),
	left("answers of the director itself pass a local connection by", map[string][]int{
		"local-server-v4": {25},
		"local-server-v6": {25},
	}),
)

// lost are packets that the kernel loses and EVS delivers.
var lost = []struct {
	recording, packet string // pattern of its name; the fragments' common note
	why               string
}{
	{"frag-*-v6", "TCP data", "the kernel does not find the connection of fragmented TCP over IPv6, and drops the packet"},
}

func left(why string, steps map[string][]int) map[string]map[int]string {
	all := map[string]map[int]string{}
	for name, numbers := range steps {
		all[name] = map[int]string{}
		for _, n := range numbers {
			all[name][n] = why
		}
	}
	return all
}

// merge joins tables of different steps.
func merge(tables ...map[string]map[int]string) map[string]map[int]string {
	all := map[string]map[int]string{}
	for _, t := range tables {
		for name, steps := range t {
			if all[name] == nil {
				all[name] = map[int]string{}
			}
			for n, why := range steps {
				all[name][n] = why
			}
		}
	}
	return all
}
