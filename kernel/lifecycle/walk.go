package lifecycle

// walk visits components, each once those that before names have been visited, and side by side with those that it has no
// order with. visit runs on a goroutine of its own; it tells whether those that come after may be visited, and
// returns what is to be noted: that runs on the caller's goroutine, one at a time and before anything else is visited.
// walk returns when nothing is being visited any more. What before names and components lack does not count.
func walk(components []Component, before func(Component) []string, visit func(Component) (on bool, note func())) {
	index := make(map[string]int, len(components))
	for i, c := range components {
		index[c.Name] = i
	}
	waits := make([]int, len(components)) // for how many
	later := make([][]int, len(components))
	for i, c := range components {
		for _, name := range before(c) {
			if j, ok := index[name]; ok {
				waits[i]++
				later[j] = append(later[j], i)
			}
		}
	}
	type result struct {
		component int
		on        bool
		note      func()
	}
	results := make(chan result)
	visiting := 0
	begin := func(i int) {
		visiting++
		go func() {
			on, note := visit(components[i])
			results <- result{i, on, note}
		}()
	}
	for i := range components {
		if waits[i] == 0 {
			begin(i)
		}
	}
	for visiting > 0 {
		r := <-results
		visiting--
		r.note()
		if !r.on {
			continue
		}
		for _, i := range later[r.component] {
			waits[i]--
			if waits[i] == 0 {
				begin(i)
			}
		}
	}
}
