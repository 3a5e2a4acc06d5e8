package dbtest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts an empty file system of a size, such as 4m, until the end of the test.
func mountSmall(t *testing.T, folder, size string) error {
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=0711,size="+size); err != nil {
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
