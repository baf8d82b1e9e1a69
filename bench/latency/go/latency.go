// Tail latency of goroutines and channels: latency [SECONDS]. See ../README.md.
// An actor is a goroutine that owns a channel of 1000, its mailbox.
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

const actors, batch, pause = 1000, 100, 10 * time.Millisecond

func print(name string, parts [][]time.Duration) {
	var all []time.Duration
	for _, part := range parts {
		all = append(all, part...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Nanoseconds()) / 1000
	}
	fmt.Printf(`"%s":{"count":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f,"max":%.1f}`,
		name, len(all), at(0.5), at(0.99), at(0.999), at(1))
}

func messages(seconds int) [][]time.Duration {
	latencies := make([][]time.Duration, actors)
	mailboxes := make([]chan time.Time, actors)
	var ended sync.WaitGroup
	for i := range mailboxes {
		i := i
		mailboxes[i] = make(chan time.Time, 1000)
		latencies[i] = make([]time.Duration, 0, seconds*1000*batch/actors+1)
		ended.Add(1)
		go func() {
			for sent := range mailboxes[i] {
				latencies[i] = append(latencies[i], time.Since(sent))
			}
			ended.Done()
		}()
	}
	sent := make(chan struct{})
	go func() {
		next, due := 0, time.Now()
		for tick := 0; tick < seconds*1000; tick++ {
			if early := time.Until(due); early > 0 {
				time.Sleep(early)
			}
			for i := 0; i < batch; i++ {
				mailboxes[next] <- time.Now()
				next = (next + 7) % actors
			}
			due = due.Add(time.Millisecond)
		}
		close(sent)
	}()
	<-sent
	for _, mailbox := range mailboxes {
		close(mailbox)
	}
	ended.Wait()
	return latencies
}

func timers(seconds int) [][]time.Duration {
	lateness := make([][]time.Duration, actors)
	var ended sync.WaitGroup
	for i := range lateness {
		i := i
		lateness[i] = make([]time.Duration, 0, seconds*100)
		ended.Add(1)
		go func() {
			for n := 0; n < seconds*100; n++ {
				due := time.Now().Add(pause)
				time.Sleep(pause)
				lateness[i] = append(lateness[i], time.Since(due))
			}
			ended.Done()
		}()
	}
	ended.Wait()
	return lateness
}

func main() {
	seconds := 5
	if len(os.Args) > 1 {
		seconds, _ = strconv.Atoi(os.Args[1])
	}
	sent, slept := messages(seconds), timers(seconds)
	fmt.Print(`{"peer":"go",`)
	print("messages", sent)
	fmt.Print(",")
	print("timers", slept)
	fmt.Println("}")
}
