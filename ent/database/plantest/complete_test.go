package plantest

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

type store struct{}

func (store) Create() {}
func (store) List()   {}
func (store) Search() {}

func TestIncomplete(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[store]()
	assert.Empty(t, incomplete(kind, map[string]bool{"List": true, "Search": true, "listed": true}, map[string]string{"Create": "inserts"}))
	assert.Equal(t, []string{
		"Create is looked at, and among those that are not",
		"Gone is not a method of the store any more",
		"Search is not looked at: call it with a large table, or say why it needs none",
	}, incomplete(kind, map[string]bool{"Create": true, "List": true}, map[string]string{"Create": "inserts", "Gone": "inserts"}))
}
