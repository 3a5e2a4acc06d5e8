package completion

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/client"
)

// remembrance is how long an answer is good: somebody who presses Tab again and again asks the platform once.
const remembrance = 30 * time.Second

// memory is an answer of a moment ago, in a file of the user's cache folder; empty where there is no such folder.
type memory string

// remembered returns where an answer is kept: for each kind, gateway and person another one.
func remembered(c *client.Connection, kind string) memory {
	folder, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{kind, c.Gateway(), c.Profile().Name, c.Profile().UserID, c.Organization("")}, "\x00")))
	return memory(filepath.Join(folder, "ashlar", "completion", kind+"-"+hex.EncodeToString(sum[:8])))
}

func (m memory) read() ([]string, bool) {
	info, err := os.Stat(string(m))
	if err != nil || time.Since(info.ModTime()) > remembrance {
		return nil, false
	}
	text, err := os.ReadFile(string(m))
	if err != nil {
		return nil, false
	}
	var names []string
	return names, json.Unmarshal(text, &names) == nil
}

func (m memory) write(names []string) {
	text, err := json.Marshal(names)
	if m == "" || len(names) == 0 || err != nil || os.MkdirAll(filepath.Dir(string(m)), 0o700) != nil {
		return
	}
	_ = home.WriteFile(string(m), string(text)) // the next one asks again
}
