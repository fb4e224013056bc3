package discovery_test

import (
	"context"
	"fmt"

	"ensemble/discovery"
)

// Whoever sends requests asks where to, each time or each second.
func Example() {
	var where discovery.Resolver
	where, err := discovery.NewStatic(map[string][]string{"user-service": {"10.0.0.8:8120", "10.0.0.7:8120"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := where.Resolve(context.Background(), "user-service")
	for _, instance := range list.Instances {
		fmt.Println(instance.Addr)
	}
	fmt.Println("trouble:", list.Trouble, err)
	// Output:
	// 10.0.0.7:8120
	// 10.0.0.8:8120
	// trouble: <nil> <nil>
}
