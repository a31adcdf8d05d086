package sched

// rotateWRR works out the levels of interleaved weighted round robin: they fall
// from the greatest weight by the greatest common divisor. After an edit the
// turn begins again at the head of the list, and the level stays where it was
// as far as the new weights allow, as in the kernel's ip_vs_wrr.
func rotateWRR(memory uint64, fresh bool, _, now []Member) Rotation {
	var top, step uint32
	for _, m := range now {
		if m.Weight > 0 {
			step = gcd(step, m.Weight)
			top = max(top, m.Weight)
		}
	}
	if step == 0 {
		step = 1
	}
	if top > 0 {
		top -= step - 1
	}
	_, level := unpackMemory(memory)
	switch {
	case fresh || level > top || level == 0: // 0: there was nothing to choose from
		level = top
	case step > 1:
		level = level/step*step + 1
	}
	return Rotation{Top: top, Step: step, Memory: packMemory(0, level)}
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
