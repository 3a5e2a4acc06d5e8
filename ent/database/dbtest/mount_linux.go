package dbtest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts an empty file system of 4 MiB until the end of the test.
func mountSmall(t *testing.T, folder string) error {
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return nil
}

func remountReadOnly(folder string) error {
	return unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "")
}
