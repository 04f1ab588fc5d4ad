package api

// The stream /api/v1/stream sends server-sent events for the connections that match a search: the parameter q and its
// shorthands, as for /api/v1/connections without limit and cursor. The events of half a second are sent together; of a
// connection that changed several times, only the last state.
//
//	event: new       data: a Connection that was not sent before and is open
//	event: changed   data: a Connection that was open and has changed
//	event: finished  data: a Connection that is finished
//	event: missed    data: Missed
//
// A comment is sent every 15 s without events. After "missed" a page reads the list again.

// Missed is the data of the event "missed": the client was too slow, or too much happened.
type Missed struct {
	// Count is how many changes were not sent.
	Count uint64 `json:"missed"`
}
