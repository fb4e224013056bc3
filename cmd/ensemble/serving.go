package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"ensemble/internal/guard"
)

// servingFlags are the flags of everything that listens.
type servingFlags struct {
	MaxConnections int           `default:"4096" placeholder:"N" help:"Connections that each port keeps open at a time; those beyond are answered 503 (${default})." json:"max-connections"`
	RequestTimeout time.Duration `default:"30s" help:"What a client may take to send a whole request (${default})." json:"request-timeout"`
	IdleTimeout    time.Duration `default:"2m" help:"How long a connection stays open between two requests (${default})." json:"idle-timeout"`

	Environment           string `default:"development" help:"The label 'environment' of metrics with Spring's names (${default})." json:"environment"`
	PrometheusURL         string `name:"prometheus-url" placeholder:"URL" help:"A Prometheus Pushgateway, for networks in which Prometheus can't come here." json:"prometheus-url,omitempty"`
	PrometheusPushEnabled bool   `help:"Push the metrics to --prometheus-url each minute." json:"prometheus-push-enabled"`

	InsecureNoAuth bool   `help:"Listen on other than loopback addresses although there is no sign-in: whoever reaches them may do everything." json:"insecure-no-auth"`
	ReadyFile      string `placeholder:"FILE" type:"path" help:"Once everything serves, write the addresses to this file as JSON." json:"ready-file,omitempty"`
}

// check says what no flag may be, and which one mends it.
func (f *servingFlags) check() error {
	switch {
	case f.MaxConnections < 1:
		return fmt.Errorf("--max-connections %d lets nobody in: give 1 or more", f.MaxConnections)
	case f.RequestTimeout < time.Second:
		return fmt.Errorf("--request-timeout %s is too short for any client: give 1s or more", f.RequestTimeout)
	case f.IdleTimeout < time.Second:
		return fmt.Errorf("--idle-timeout %s would close connections under requests: give 1s or more", f.IdleTimeout)
	case f.PrometheusPushEnabled && f.PrometheusURL == "":
		return errors.New("--prometheus-push-enabled needs to know where to: give --prometheus-url, or leave it out")
	}
	return nil
}

// configure makes a process serve as the flags say. settings are all of them, for the
// administration to show.
func (f *servingFlags) configure(p *process, settings any) {
	p.settings = settings
	p.limits = guard.DefaultLimits()
	p.limits.Connections, p.limits.ReadTime, p.limits.IdleTime = f.MaxConnections, f.RequestTimeout, f.IdleTimeout
	p.metrics.SetEnvironment(f.Environment)
	if f.PrometheusPushEnabled {
		p.pushTo = f.PrometheusURL
	}
	if f.InsecureNoAuth {
		p.logger.Warn("listening without sign-in: whoever reaches these addresses may read and change everything")
	}
}

// single is a command that runs one service.
type single struct {
	name     string // of the command
	parts    []part
	serving  *servingFlags
	settings any
	tries    func(address string) []string // commands that work as printed
}

// run opens the ports, has the service put together, and serves until the context ends or
// a part fails. What open returns as its second value is closed when all has ended.
func (c single) run(
	ctx context.Context, cli *cli, con *console, open func(context.Context, *process) (work, func() error, error),
) (err error) {
	logger, err := cli.logger(con)
	if err != nil {
		return err
	}
	if err := c.serving.check(); err != nil {
		return err
	}
	ports, err := listenAll(ctx, c.parts, c.serving.InsecureNoAuth)
	if err != nil {
		return err
	}
	ignored, err := accepted(c.name, os.LookupEnv)
	if err != nil {
		ports.close()
		return err
	}
	if len(ignored) > 0 {
		logger.Info("variables of the Spring system are accepted and do nothing in this version", "variables", ignored)
	}
	p := newProcess(logger)
	c.serving.configure(p, c.settings)
	w, closeAll, err := open(ctx, p)
	if err != nil {
		ports.close()
		return errors.Join(err, closeAll())
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	w.ready = func(context.Context) error { return c.announce(con.out, ports, p) }
	return p.run(ctx, ports, w)
}

// announce tells people and programs where the service is, once it serves.
func (c single) announce(out io.Writer, ports listeners, p *process) error {
	var b strings.Builder
	ports.list(&b, out, "Ensemble's "+c.name+" is up.")
	for _, line := range c.tries("http://" + ports.address(c.name)) {
		fmt.Fprintf(&b, "\n  %s\n", line)
	}
	if _, err := fmt.Fprintln(out, b.String()); err != nil {
		return err
	}
	p.logger.Info("ready", c.name, ports.address(c.name))
	return ports.write(c.serving.ReadyFile)
}
