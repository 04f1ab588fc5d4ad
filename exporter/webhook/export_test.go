package webhook

// HoldTurns takes all turns of handshakes of clients without a valid secret. release gives them back.
func (c *Connections) HoldTurns() (release func()) {
	var held []*turn
	for c.handshakes.others.idle() > 0 {
		held = append(held, c.handshakes.others.take(new(client)))
	}
	return func() {
		for _, t := range held {
			t.end()
		}
	}
}

// FreeTurns returns how many handshakes of clients with a valid secret, and of others, can begin.
func (c *Connections) FreeTurns() (known, others int) {
	return c.handshakes.known.idle(), c.handshakes.others.idle()
}

// WaitingTurns returns how many handshakes of clients without a valid secret wait.
func (c *Connections) WaitingTurns() (n int) {
	of := c.handshakes.others
	of.mu.Lock()
	defer of.mu.Unlock()
	for _, e := range of.lines {
		n += len(e.Value.(*line).turns)
	}
	return n
}

func (t *turns) idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.free
}
