package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"smithproxy_exporter/exporter/probe"
)

// check writes whether the exporter can run with the configuration, and reports whether nothing is wrong.
func (o *Options) check(ctx context.Context, c Current) bool {
	ok := o.checkHost(ctx)
	ok = o.checkPort(ctx, c) && ok
	return o.checkEndpoint(ctx, c) && ok
}

// say writes the result of a check.
func (o *Options) say(ok bool, format string, args ...any) bool {
	result := "ok   "
	if !ok {
		result = "WRONG"
	}
	fmt.Fprintf(o.Out, result+"  "+format+"\n", args...)
	return ok
}

func (o *Options) checkHost(ctx context.Context) bool {
	if net.ParseIP(o.Host) != nil {
		return true
	}
	if _, err := net.DefaultResolver.LookupHost(ctx, o.Host); err != nil {
		return o.say(false, "host name: %s does not resolve on this host (%v). It must resolve on the proxies; use --host=ADDRESS if it does not", o.Host, err)
	}
	return o.say(true, "host name: %s resolves on this host. It must resolve on the proxies too", o.Host)
}

// checkPort reports whether the webhook listener can listen, or is the exporter itself.
func (o *Options) checkPort(ctx context.Context, c Current) bool {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err == nil {
		_ = listener.Close() // it has served its purpose
		return o.say(true, "port: %s is free", o.Listen)
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return o.say(false, "port: the exporter cannot listen on %s: %v", o.Listen, err)
	}
	_, err = probe.Webhook(ctx, probe.Local(c.Secure, o.Listen)+"/webhook/"+c.Secret)
	switch {
	case err == nil:
		return o.say(true, "port: the exporter listens on %s, and accepts the secret", o.Listen)
	case errors.Is(err, probe.ErrSecret):
		return o.say(true, "port: an exporter listens on %s that does not accept the secret yet. Restart it: systemctl restart smithproxy_exporter", o.Listen)
	}
	return o.say(false, "port: %s is in use: %v. Stop what uses it, or choose another with --webhook.listen-address", o.Listen, err)
}

func (o *Options) checkEndpoint(ctx context.Context, c Current) bool {
	switch {
	case o.Endpoint != "" && o.Endpoint != c.Endpoint:
		return o.say(false, "traces: %s has otlp.endpoint %q, not %q. Change it there", o.Path, c.Endpoint, o.Endpoint)
	case c.Endpoint == "":
		return o.say(true, "traces: are not sent, because there is no otlp.endpoint")
	}
	if err := o.CheckOTLP(ctx, o.Path); err != nil {
		return o.say(false, "traces: %s does not accept them: %v", c.Endpoint, err)
	}
	return o.say(true, "traces: %s answers", c.Endpoint)
}
