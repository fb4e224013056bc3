package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"ensemble/client"
	"ensemble/wire"
)

// Follow a log from the beginning, and later go on where that ended.
func ExampleClient_Events() {
	c := client.New("http://test", &http.Client{Transport: saying(
		"retry: 1000\n\n" +
			"id: 1\nevent: UserCreated\ndata: {\"position\":1,\"id\":\"3f2a91c0-…:1\",\"type\":\"UserCreated\",\"stream\":\"user-1\"}\n\n" +
			"id: 2\nevent: UserRenamed\ndata: {\"position\":2,\"id\":\"3f2a91c0-…:2\",\"type\":\"UserRenamed\",\"stream\":\"user-1\"}\n\n")})
	var last wire.Event
	for e, err := range c.Events(context.Background(), "user", client.Feed{}) {
		if problem, ok := errors.AsType[*client.ProblemError](err); ok && problem.Slug() == wire.LogReplaced {
			fmt.Println("forget everything, and begin anew")
			return
		}
		if err != nil {
			log.Println(err)
			return
		}
		fmt.Println(e.Position, e.Type, e.Stream)
		if last = e; e.Position == 2 {
			break
		}
	}
	fmt.Printf("later: %+v\n", client.Feed{After: last.Position, Lineage: last.ID[:8]}.After)
	// Output:
	// 1 UserCreated user-1
	// 2 UserRenamed user-1
	// later: 2
}
