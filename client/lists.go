package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
)

// defaultPage is how many items a page has unless the caller says otherwise; the
// service gives up to 1000.
const defaultPage = 100

// pages returns the items of a list, page by page, from the path of its first page
// on. An error is the last that comes.
func pages[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for next := path; next != ""; {
			var items []T
			a, err := c.do(ctx, call{method: http.MethodGet, path: next}, &items)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			next = a.Next
		}
	}
}

// stream returns the items of one answer, while it arrives. An error is the last
// that comes; one that was cut short ends with one.
func stream[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		resp, err := c.send(ctx, call{method: http.MethodGet, path: path, accept: "application/x-ndjson"})
		if err != nil {
			yield(*new(T), err)
			return
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		for lines := json.NewDecoder(resp.Body); ; {
			var item T
			switch err := lines.Decode(&item); {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(*new(T), fmt.Errorf("GET %s: read the answer: %w", path, err))
				return
			case !yield(item, nil):
				return
			}
		}
	}
}

// nextOf returns the path of the link to the next page, "" without one. Links to
// other hosts are not followed: a gateway gives paths.
func nextOf(headers []string) string {
	for _, header := range headers {
		for rest := header; rest != ""; {
			_, link, _ := strings.Cut(rest, "<")
			var target, params string
			target, rest, _ = strings.Cut(link, ">")
			params, _, _ = strings.Cut(rest, ",")
			params = strings.ReplaceAll(params, `"`, "") // quotes are optional, RFC 8288
			if strings.Contains(params, "rel=next") && strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//") {
				return target
			}
		}
	}
	return ""
}
