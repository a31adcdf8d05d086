package sched

// SHPlaces is the length of sh's table, that of the kernel's default
// (IP_VS_SH_TAB_BITS=8).
const SHPlaces = 256

// placeSH is source hashing: the address of the client decides, so that it meets
// the same server again without the director having to remember. The members have
// runs of places as long as their weights, over and over to the end of the table;
// one of weight 0 has runs of one, and what hashes there is refused, or with
// sh-fallback hashed again.
// (ipvsadm(8); Linux Virtual Server, "Job Scheduling Algorithms".)
func placeSH(_ bool, members []Member) []uint16 {
	if len(members) == 0 {
		return nil
	}
	table := make([]uint16, SHPlaces)
	at, run := 0, uint32(0)
	for i := range table {
		table[i] = uint16(at)
		if run++; run >= members[at].Weight {
			at, run = (at+1)%len(members), 0
		}
	}
	return table
}
