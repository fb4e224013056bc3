package eureka_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"time"

	"ensemble/discovery/eureka"
)

// A registry, an instance that is announced in it, and somebody who looks for it.
func Example() {
	registry := httptest.NewServer(eureka.NewServer(eureka.ServerConfig{}))
	defer registry.Close()
	client, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{registry.URL + "/eureka"}, Refresh: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx, stop := context.WithCancel(context.Background())
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		client.Announce(ctx, eureka.Registration{App: "USER-SERVICE", Addr: netip.MustParseAddrPort("127.0.0.1:8120")})
	}()
	look := func(want int) {
		for {
			list, err := client.Resolve(context.Background(), "user-service")
			if err != nil || len(list.Instances) == want {
				fmt.Println(list.Instances, err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	look(1)
	stop()
	<-announced // it has said goodbye
	look(0)
	// Output:
	// [{127.0.0.1:user-service:8120 127.0.0.1:8120 false}] <nil>
	// [] <nil>
}
