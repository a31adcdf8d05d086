package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestPackages builds the packages once and holds them against what they
// promise.
func TestPackages(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	fetchDebian(t, dir)
	native := runtime.GOARCH
	if err := os.Rename(one(t, dir+"/evs_*_"+native+".deb"), dir+"/evs.deb"); err != nil {
		t.Fatal(err)
	}
	rpmArch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}
	if err := os.Rename(one(t, dir+"/evs-*."+rpmArch[native]+".rpm"), dir+"/evs.rpm"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, dir string)
	}{
		{"the same source gives the same packages", reproducible},
		{"the rpm has the files of the deb", sameFiles},
		{"everyone may read what is installed", readable},
		{"a machine without ipvsadm has ours, and nothing is left when it goes", fresh},
		{"the rpm installs, serves and goes", fromRPM},
		{"an update leaves the table serving", update},
		{"an ipvsadm that was there first keeps its name until someone chooses", theirsFirst},
		{"an ipvsadm that comes later does not take the name", theirsLater},
		{"the name is ours when the other ipvsadm goes", theirsGone},
		{"rules saved from the kernel's IPVS load, and are saved the same", fromKernel},
		{"the unit is what systemd understands", unit},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, dir) })
	}
	t.Run("the unit's script", func(t *testing.T) { service(t, dir) })
}

func build(t *testing.T, dir string, architectures ...string) {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	nfpm := regexp.MustCompile(`(?m)^NFPM := (\S+)$`).FindSubmatch(makefile)
	if nfpm == nil {
		t.Fatal("the Makefile does not say which nfpm to use")
	}
	command(t, "../..", "scripts/packages.sh", append([]string{string(nfpm[1]), dir}, architectures...)...)
}

// fetchDebian puts Debian's own ipvsadm into the directory.
func fetchDebian(t *testing.T, dir string) {
	t.Helper()
	const fetch = `apt-get download -qq ipvsadm || { apt-get update -qq && apt-get download -qq ipvsadm; }`
	cmd := exec.Command("sh", "-c", fetch)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("this test installs Debian's ipvsadm beside EVS, and could not download it from the mirror that apt is set up for: %v\n%s", err, out)
	}
	if err := os.Rename(one(t, dir+"/ipvsadm_*.deb"), dir+"/theirs.deb"); err != nil {
		t.Fatal(err)
	}
}

func reproducible(t *testing.T, dir string) {
	again := t.TempDir()
	build(t, again, runtime.GOARCH)
	for pattern, first := range map[string]string{"/evs_*.deb": "/evs.deb", "/evs-*.rpm": "/evs.rpm"} {
		a, errA := os.ReadFile(dir + first)
		b, errB := os.ReadFile(one(t, again+pattern))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s differs when it is built a second time (%v, %v)", filepath.Base(first), errA, errB)
		}
	}
}

func sameFiles(t *testing.T, dir string) {
	deb := command(t, dir, "sh", "-c", `dpkg-deb --fsys-tarfile evs.deb | tar -t | sed -n 's,^\./,/,; /[^/]$/p' | sort`)
	rpm := command(t, dir, "sh", "-c", `rpm -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' evs.rpm | sed -n 's/^[^d][^ ]* //p' | sort`)
	rpm = strings.Replace(rpm, "/zsh/site-functions/", "/zsh/vendor-completions/", 1)
	if diff := different(deb, rpm); diff != "" {
		t.Errorf("- is in the deb alone, + in the rpm alone:\n%s", diff)
	}
	if config := command(t, dir, "rpm", "-qpc", "evs.rpm"); config != "/etc/default/evs-agent\n/etc/default/evs-ipvsadm\n" {
		t.Errorf("the rpm's configuration files are %q", config)
	}
}

func readable(t *testing.T, dir string) {
	list := command(t, dir, "dpkg-deb", "-c", "evs.deb")
	for line := range strings.Lines(list) {
		mode, name, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(mode, "l"), mode == "drwxr-xr-x":
		case mode == "-rwxr-xr-x" && (strings.Contains(name, "/usr/sbin/evs") || strings.Contains(name, "/usr/lib/evs/")):
		case mode == "-rw-r--r--":
		default:
			t.Errorf("odd mode: %s", line)
		}
	}
}

const serve = `
ipvsadm -A -t 203.0.113.10:80 -s wrr
ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m -w 3
`

func fresh(t *testing.T, dir string) {
	m := newMachine(t, dir)
	before := m.files()
	m.run("dpkg -i /mnt/evs.deb")
	usable(m)
	m.wants("dpkg --verify evs", "")
	m.run("dpkg --purge evs")
	if diff := different(before, m.files()); diff != "" {
		t.Errorf("after the package was purged:\n%s", diff)
	}
	m.wants("find /sys/fs/bpf -mindepth 2", "")
}

// usable goes through what a person does first.
func usable(m *machine) {
	m.t.Helper()
	for _, name := range []string{"ipvsadm", "ipvsadm-save", "ipvsadm-restore"} {
		m.wants("command -v "+name, "/usr/local/sbin/"+name)
	}
	m.run(serve)
	for script, want := range map[string]string{
		"ipvsadm -Ln":                   "  -> 192.0.2.2:80                 Masq    3      0          0",
		"ipvsadm-save -n":               "-a -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 3",
		"evs status":                    "services     1",
		"evs --version":                 m.run("dpkg-query -W -f '${Version}' evs 2>/dev/null || rpm -q --qf '%{VERSION}' evs")[:5],
		"man -w ipvsadm":                ourPage,
		"man -w evs-attach":             "/usr/share/man/man8/evs-attach.8.gz",
		"man ipvsadm-restore":           "in front of a line",
		"man evs":                       "evs attach",
		"cat /usr/share/doc/evs/NOTICE": "BSD-2-Clause",
	} {
		if got := m.run(script); !strings.Contains(got, want) {
			m.t.Errorf("%s: no %q in\n%s", script, want, got)
		}
	}
}

func fromRPM(t *testing.T, dir string) {
	m := newMachine(t, dir)
	before := m.files()
	// dpkg's database does not tell rpm of update-alternatives.
	m.run("rpm -i --nodeps /mnt/evs.rpm")
	usable(m)
	m.run("rpm -e evs")
	if diff := different(before, m.files()); diff != "" {
		t.Errorf("after the package was removed:\n%s", diff)
	}
}

func update(t *testing.T, dir string) {
	m := newMachine(t, dir)
	m.run("dpkg -i /mnt/evs.deb")
	m.run(serve)
	m.run("ipvsadm --set 100 0 0; dpkg -i /mnt/evs.deb")
	m.wants("ipvsadm-save -n | grep -c 192.0.2.2", "1")
	m.wants("readlink -f $(command -v ipvsadm)", "/usr/sbin/evs")
}

func unit(t *testing.T, dir string) {
	m := newMachine(t, dir)
	m.run("dpkg -i /mnt/evs.deb")
	m.wants("systemd-analyze verify --recursive-errors=no /usr/lib/systemd/system/evs-ipvsadm.service /usr/lib/systemd/system/evs-agent.service /usr/lib/systemd/system/evs-director.service 2>&1", "")
}
