package sched

// keepMemory is for schedulers whose memory has nothing to do with the members: it
// ends with the scheduler alone, as the cache of lblc and lblcr in the kernel.
func keepMemory(memory uint64, fresh bool, _, _ []Member) Rotation {
	if fresh {
		return Rotation{}
	}
	return Rotation{Memory: memory}
}
