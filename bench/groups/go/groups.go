// The same as troupe_groups: goroutines and a WaitGroup, a result slot for each.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

func child(n int) int { return n }

func runGroups(rounds, children int) int {
	sum := 0
	for round := 0; round < rounds; round++ {
		results := make([]int, children)
		var group sync.WaitGroup
		group.Add(children)
		for i := 0; i < children; i++ {
			go func(i int) {
				defer group.Done()
				results[i] = child(1)
			}(i)
		}
		group.Wait()
		for _, one := range results {
			sum += one
		}
	}
	return sum
}

func bestOfFive(children int, run func() int) float64 {
	best := 1e18
	for i := 0; i < 5; i++ {
		begin := time.Now()
		if sum := run(); sum != children {
			fmt.Fprintln(os.Stderr, "wrong:", sum)
			os.Exit(1)
		}
		if took := float64(time.Since(begin).Nanoseconds()) / float64(children); took < best {
			best = took
		}
	}
	return best
}

func main() {
	one := bestOfFive(200_000, func() int { return runGroups(200_000, 1) })
	ten := bestOfFive(1_000_000, func() int { return runGroups(100_000, 10) })
	million := bestOfFive(1_000_000, func() int { return runGroups(1, 1_000_000) })
	fmt.Printf("{\"peer\":\"go\",\"group_of_1\":%.1f,\"group_of_10\":%.1f,\"group_of_1M\":%.1f}\n", one, ten, million)
}
