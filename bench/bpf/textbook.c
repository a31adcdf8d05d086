//go:build ignore

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * The yardsticks: a NAT and a direct-routing balancer, each a program of its
 * own on a hash map of its own. Their services and backends are shared.
 */
#include "textbook_dr.h"
#include "textbook_nat.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
