package gateway

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is marked as reloadable is all that hold looks at.
func TestWhatIsReloadable(t *testing.T) {
	type changeable struct {
		settings, shares, level any
		connections             [2]int
	}
	of := func(c Config) changeable {
		bounds := c.connectionBounds() // its function looks at addresses, which are among the settings
		return changeable{c.settings(), c.shares(), c.LogLevel, [2]int{bounds.All, bounds.Each}}
	}
	good := Config{RateLimit: 1, RateBurst: 1}
	marked := 0
	var visit func(at reflect.Type, index []int)
	visit = func(at reflect.Type, index []int) {
		for i := range at.NumField() {
			field := at.Field(i)
			here := slices.Concat(index, []int{i})
			if field.Anonymous {
				visit(field.Type, here)
				continue
			}
			if field.Tag.Get("kong") == "-" {
				continue
			}
			changed := good
			alter(t, reflect.ValueOf(&changed).Elem().FieldByIndex(here))
			_, reloadable := field.Tag.Lookup("reload")
			if reloadable {
				marked++
			}
			assert.Equal(t, reloadable, !reflect.DeepEqual(of(good), of(changed)), field.Name)
		}
	}
	visit(reflect.TypeFor[Config](), nil)
	assert.Positive(t, marked)
}

// alter makes a value another one that is valid.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("10.0.0.0/8")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 7)
	case reflect.Float64:
		v.SetFloat(v.Float() + 7)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"10.0.0.0/8"}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]int{"notes@1.0.0": 5}))
	default:
		t.Fatalf("%s is of a kind that this test does not know", v.Type())
	}
}
