package sched

// DHPlaces is the length of dh's table, that of the kernel's default
// (IP_VS_DH_TAB_BITS=8).
const DHPlaces = 256

// placeDH is destination hashing: the address a packet is sent to decides, so that
// a cache behind the director always gets the same sites. The members have the
// places of the table in turn, whatever their weights; one of weight 0 keeps its
// places, and what hashes there is refused.
// (ipvsadm(8); Linux Virtual Server, "Job Scheduling Algorithms".)
func placeDH(_ bool, members []Member) []uint16 {
	if len(members) == 0 {
		return nil
	}
	table := make([]uint16, DHPlaces)
	for i := range table {
		table[i] = uint16(i % len(members))
	}
	return table
}
