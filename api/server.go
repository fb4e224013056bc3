package api

import (
	"log/slog"
	"net/http"
	"time"
)

// Server returns a server for a handler, with limits that keep slow or broken
// clients from holding it. The caller gives it a listener, and shuts it down.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // no h2c: what reads a request must agree on where it ends
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // a body has at most 64 KiB
		WriteTimeout:      60 * time.Second, // lists move it forward, part by part
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		// What net/http says here is about broken clients, one line each: noise
		// to an operator unless somebody is looking for it.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// OPTIONS * is answered like any other request.
		DisableGeneralOptionsHandler: true,
	}
}
