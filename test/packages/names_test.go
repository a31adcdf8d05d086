package packages

import "testing"

// means asserts whose program and manual page the name ipvsadm stands for.
func (m *machine) means(program, page string) {
	m.t.Helper()
	m.wants("readlink -f $(command -v ipvsadm)", program)
	m.wants("readlink -f $(man -w ipvsadm)", page)
}

const (
	ourPage   = "/usr/share/man/man8/evs-ipvsadm.8.gz"
	theirPage = "/usr/share/man/man8/ipvsadm.8.gz"
)

func theirsFirst(t *testing.T, dir string) {
	m := newMachine(t, dir)
	before := m.files()
	m.run("dpkg -i /mnt/theirs.deb")
	installed := m.files()
	m.run("dpkg -i /mnt/evs.deb")
	m.means("/usr/sbin/ipvsadm", theirPage)
	m.run("/usr/lib/evs/bin/ipvsadm -Ln") // ours is there under its full name
	m.run("update-alternatives --set ipvsadm /usr/lib/evs/bin/ipvsadm")
	m.means("/usr/sbin/evs", ourPage)
	m.wants("readlink -f $(command -v ipvsadm-save)", "/usr/sbin/evs")
	m.run("dpkg -i /mnt/evs.deb") // an update respects the choice
	m.means("/usr/sbin/evs", ourPage)
	m.run("update-alternatives --set ipvsadm /usr/sbin/ipvsadm")
	m.means("/usr/sbin/ipvsadm", theirPage)
	m.run("dpkg --purge evs")
	m.means("/usr/sbin/ipvsadm", theirPage)
	m.wants("dpkg --verify ipvsadm", "")
	if diff := different(installed, m.files()); diff != "" {
		t.Errorf("after EVS went again:\n%s", diff)
	}
	m.run("dpkg --purge ipvsadm")
	if diff := different(before, m.files()); diff != "" {
		t.Errorf("after both went:\n%s", diff)
	}
}

func theirsLater(t *testing.T, dir string) {
	m := newMachine(t, dir)
	before := m.files()
	m.run("dpkg -i /mnt/evs.deb")
	m.run("dpkg -i /mnt/theirs.deb </dev/null")
	m.means("/usr/sbin/evs", ourPage)
	m.wants("dpkg --verify evs ipvsadm", "")
	m.run("dpkg --purge ipvsadm")
	m.means("/usr/sbin/evs", ourPage)
	m.run("dpkg --purge evs")
	if diff := different(before, m.files()); diff != "" {
		t.Errorf("after both went:\n%s", diff)
	}
}

func theirsGone(t *testing.T, dir string) {
	m := newMachine(t, dir)
	m.run("dpkg -i /mnt/theirs.deb")
	m.run("dpkg -i /mnt/evs.deb")
	m.means("/usr/sbin/ipvsadm", theirPage)
	m.run("dpkg --purge ipvsadm")
	m.means("/usr/sbin/evs", ourPage)
}
