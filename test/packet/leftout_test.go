package packet

// whole stands for all steps of a recording.
const whole = -1

// leftOut are the steps, by recording and number, that do not come out as
// recorded yet, and why. One that does is an error: this table can only shrink.
var leftOut = merge(
	left("an answer of a host without the ipip module", map[string][]int{
		"fwmark-all":      {10},
		"fwmark-all-ipip": {10},
		"fwmark-all-nat":  {10},
	}),
	left("the kernel loses these answers: it leaves the addresses out of the sum; they are delivered", map[string][]int{
		"local-server-v6": {22, 24},
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
