//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// traversable lets the user that PostgreSQL runs as reach its own directory, and see nothing else on the way.
	traversable = 0o711
	// prefix is what the names of temporary clusters begin with.
	prefix = "teishi-cluster-"
	// lockName is of the file by whose lock a temporary cluster is known to be in use.
	lockName = "lock"
	// memory is where temporary files are kept in memory, if there is room: fsync is then quick, and still called.
	memory = "/dev/shm"
	// room is how many free bytes are asked of it.
	room = 2 << 30
)

// take returns the directory that a cluster shall be in, and what gives it back.
func take(directory string) (string, func() error, error) {
	if directory == "" {
		return takeTemporary(temporary())
	}
	directory, err := filepath.Abs(directory)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(directory, traversable); err != nil {
		return "", nil, err
	}
	if there, err := os.ReadDir(directory); err != nil || len(there) > 0 {
		return "", nil, errors.Join(err, fmt.Errorf("%s is not empty", directory))
	}
	return directory, func() error { return nil }, mayReach(directory)
}

// takeTemporary makes a directory that is removed when given back, and removes those that others left when they were
// killed.
func takeTemporary(parent string) (string, func() error, error) {
	sweep(parent)
	directory, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", nil, err
	}
	lock, err := lockNew(filepath.Join(directory, lockName))
	if err == nil {
		err = os.Chmod(directory, traversable)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(directory))
	}
	return directory, func() error { return errors.Join(os.RemoveAll(directory), lock.Close()) }, nil
}

// lockNew makes a file that is locked from the moment it has its name.
func lockNew(name string) (*os.File, error) {
	f, err := os.Create(name + ".new")
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes the temporary clusters that nobody uses. What cannot be removed belongs to somebody else.
func sweep(parent string) {
	locks, err := filepath.Glob(filepath.Join(parent, prefix+"*", lockName))
	if err != nil {
		return
	}
	for _, name := range locks {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			remove(filepath.Dir(name))
		}
		f.Close()
	}
}

// remove removes the directory of a cluster that was killed, and the memory that its servers have left.
func remove(directory string) {
	_ = filepath.WalkDir(directory, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == postmasterFile {
			err = freeMemory(filepath.Dir(path))
		}
		return err
	})
	_ = os.RemoveAll(directory)
}

// temporary returns where temporary clusters are made: in memory if there is room and programs may be run from it.
func temporary() string {
	var s unix.Statfs_t
	if unix.Statfs(memory, &s) != nil || s.Flags&unix.ST_NOEXEC != 0 || int64(s.Bavail)*s.Bsize < room || unix.Access(memory, unix.W_OK) != nil {
		return os.TempDir()
	}
	return memory
}

// mayReach refuses a directory that the user that PostgreSQL runs as cannot get to.
func mayReach(directory string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for d := directory; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the user postgres may not enter %s: choose another directory, or chmod o+x that one", d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// servant is the user that runs the servers which refuse to be root: nil, who we are, unless that is root.
func servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, install)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// give makes a file or directory the user's own.
func give(name string, u *syscall.Credential) error {
	if u == nil {
		return nil
	}
	return os.Chown(name, int(u.Uid), int(u.Gid))
}

// writeFor writes a file that only the user may read.
func writeFor(u *syscall.Credential, name, content string) error {
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		return err
	}
	return give(name, u)
}
