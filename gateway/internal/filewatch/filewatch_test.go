package filewatch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// within bounds what should take milliseconds.
const within = 30 * time.Second

// watched is a watcher that runs, and counts.
type watched struct {
	t     *testing.T
	count atomic.Int64
}

func watch(t *testing.T, poll time.Duration, files ...string) *watched {
	t.Helper()
	return watchBy(t, poll, func() {}, files...)
}

// watchBy is watch where changed is called, too, for each change.
func watchBy(t *testing.T, poll time.Duration, changed func(), files ...string) *watched {
	t.Helper()
	w := &watched{t: t}
	watcher := New(slog.New(slog.DiscardHandler), files...)
	watcher.poll = poll
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { watcher.Run(ctx, func(context.Context) { w.count.Add(1); changed() }) })
	t.Cleanup(func() { cancel(); running.Wait() })
	w.reaches(1)
	return w
}

func (w *watched) reaches(n int64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.count.Load() >= n }, within, time.Millisecond)
}

// tells checks that a change is told.
func (w *watched) tells(change func()) {
	w.t.Helper()
	before := w.count.Load()
	change()
	w.reaches(before + 1)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

// replace changes a file in one piece: one that is written to is empty for a moment, which may be long.
func replace(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	require.NoError(t, os.Rename(path+".new", path))
}

func TestWaysToChangeAFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.yaml")
	write(t, path, "1")
	w := watch(t, time.Hour, path)
	w.tells(func() { write(t, path, "2") })
	w.tells(func() { // as editors do it
		write(t, path+".new", "3")
		require.NoError(t, os.Rename(path, path+"~"))
		require.NoError(t, os.Rename(path+".new", path))
	})
	w.tells(func() { write(t, path, "4") })
	w.tells(func() { require.NoError(t, os.Chmod(path, 0o640)) })
	w.tells(func() { require.NoError(t, os.Remove(path)) })
	w.tells(func() { write(t, path, "5") })
}

// Kubernetes mounts a folder in which the files are links through a link that is replaced.
func TestFilesOfKubernetes(t *testing.T) {
	folder := t.TempDir()
	version := func(n int) {
		name := fmt.Sprintf("..version_%d", n)
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o755))
		write(t, filepath.Join(folder, name, "a.yaml"), fmt.Sprint(n))
		require.NoError(t, os.Symlink(name, filepath.Join(folder, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
		require.NoError(t, os.RemoveAll(filepath.Join(folder, fmt.Sprintf("..version_%d", n-1))))
	}
	version(1)
	path := filepath.Join(folder, "a.yaml")
	require.NoError(t, os.Symlink(filepath.Join("..data", "a.yaml"), path))
	w := watch(t, time.Hour, path)
	for n := 2; n < 5; n++ {
		w.tells(func() { version(n) })
	}
}

// A deployment's `current` is a link to a folder elsewhere.
func TestALinkOnTheWay(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"1", "2"} {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "releases", name), 0o755))
		write(t, filepath.Join(folder, "releases", name, "a.yaml"), name)
	}
	current := filepath.Join(folder, "current")
	require.NoError(t, os.Symlink("releases/1", current))
	w := watch(t, time.Hour, filepath.Join(current, "a.yaml"))
	w.tells(func() {
		require.NoError(t, os.Symlink("releases/2", current+".new"))
		require.NoError(t, os.Rename(current+".new", current))
	})
	w.tells(func() { write(t, filepath.Join(folder, "releases", "2", "a.yaml"), "3") })
}

func TestAFolderThatComesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "later", "a.yaml")
	w := watch(t, 10*time.Millisecond, path)
	w.tells(func() {
		require.NoError(t, os.Mkdir(filepath.Dir(path), 0o755))
		write(t, path, "1")
	})
}

// What happens beside a file, or leaves it as it was, is no change.
func TestNoChange(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.yaml")
	write(t, path, "1")
	w := watch(t, time.Hour, path)
	before := w.count.Load()
	replace(t, path, "1")
	write(t, filepath.Join(folder, "other"), "2")
	w.tells(func() { replace(t, path, "3") })
	assert.Equal(t, before+1, w.count.Load())
}

// Many changes one after the other are few, and the last one counts.
func TestManyChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "0")
	begun, written := make(chan struct{}), make(chan struct{})
	var last atomic.Value
	first := true
	w := watchBy(t, time.Hour, func() {
		if first {
			first = false
			close(begun)
			<-written // it works for as long as that takes
		}
		content, err := os.ReadFile(path)
		assert.NoError(t, err)
		last.Store(string(content))
	}, path)
	<-begun
	for n := 1; n <= 100; n++ {
		replace(t, path, fmt.Sprint(n))
	}
	close(written)
	require.Eventually(t, func() bool { return last.Load() == "100" }, within, time.Millisecond)
	assert.LessOrEqual(t, w.count.Load(), int64(2), "the one that was busy, and one more")
}

func TestLinksInACircle(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Symlink("b", filepath.Join(folder, "a")))
	require.NoError(t, os.Symlink("a", filepath.Join(folder, "b")))
	assert.Equal(t, []string{folder}, folders([]string{filepath.Join(folder, "a")}))
}
