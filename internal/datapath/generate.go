package datapath

// The objects are compiled from the same headers, so their maps agree; the Go
// types come from the one that uses them all.
//
//go:generate go tool bpf2go -go-package datapath -target bpfel -output-stem bpf_control -no-global-types -type addr -type ifname -type svc_key -type service -type version -type entry -type unit -type dst -type nexthop -type conn -type conn_ends -type bucket4 -type bucket6 -type stats -type estimator -type filter -type settings -type sweep -type counters -type clock -type reason -type scheduler -type places -type method -type conn_state -type conn_flags -type svc_state -type svc_flags -type dst_flags -type tunnel -type tunnel_flags -type filter_bits -type family -type attach_mode -type abi -type sync_role -type sysctl -type mark_rule -type mark_key -type mark_run -type pkt -type sync_daemon control ../../bpf/control.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package datapath -target bpfel -output-stem bpf_xdp -no-global-types xdp ../../bpf/director_xdp.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package datapath -target bpfel -output-stem bpf_tc -no-global-types tc ../../bpf/director_tc.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package datapath -target bpfel -output-stem bpf_decap -type decap_conf -type decap_key -type decap_counters -type decap_reason -type decap_kind -type decap_role -type decap_abi decap ../../bpf/realserver.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
