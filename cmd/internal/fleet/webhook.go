package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

// WebhookURL returns base with the secret in secretFile appended; without a file it returns base. It waits for at
// most the given time until the file exists and the URL's port accepts connections, so that a fleet can be started
// together with its receiver.
func WebhookURL(ctx context.Context, base, secretFile string, wait time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		full, err := withSecret(base, secretFile)
		if err == nil && wait > 0 {
			err = listening(ctx, full)
		}
		if err == nil || wait == 0 {
			return full, err
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func withSecret(base, secretFile string) (string, error) {
	if secretFile == "" {
		return base, nil
	}
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		return "", fmt.Errorf("secret file: %w", err)
	}
	return url.JoinPath(base, string(bytes.TrimSpace(secret)))
}

func listening(ctx context.Context, webhook string) error {
	u, err := url.Parse(webhook)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("waiting for a listener: %w", err)
	}
	return conn.Close()
}
