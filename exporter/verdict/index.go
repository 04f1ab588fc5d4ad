package verdict

import (
	"net/netip"

	"smithproxy_exporter/exporter/event"
)

// index finds the first rule that matches without trying them one after the other. For each field, the value
// in a request leads to the rules that it matches, as a set of bits; the rules that match the request are in
// all of these sets, or lack the field. What it finds is what fields say, one by one.
type index struct {
	// every has all rules, live those that are not on trial.
	every, live members

	clients, servers         *addressIndex
	clientLists, serverLists *listIndex
	ports                    *portIndex
	transports               *valueIndex[event.Transport]
	policies                 *valueIndex[int]
	schedules                *scheduleIndex
}

func newIndex(rules []rule, pause func()) *index {
	ix := &index{
		every: newMembers(len(rules)), live: newMembers(len(rules)),
		clients:     newAddressIndex(rules, func(r *rule) []netip.Prefix { return r.clients }, pause),
		servers:     newAddressIndex(rules, func(r *rule) []netip.Prefix { return r.servers }, pause),
		clientLists: newListIndex(rules, func(r *rule) []*List { return r.clientLists }, pause),
		serverLists: newListIndex(rules, func(r *rule) []*List { return r.serverLists }, pause),
		ports:       newPortIndex(rules),
		transports:  newValueIndex(rules, func(r *rule) []event.Transport { return r.transports }),
		policies:    newValueIndex(rules, func(r *rule) []int { return r.policies }),
		schedules:   newScheduleIndex(rules),
	}
	for i := range rules {
		ix.every.add(i)
		if !rules[i].trial {
			ix.live.add(i)
		}
	}
	return ix
}

// fieldsOfRule is how many fields a rule can have.
const fieldsOfRule = 9

// find returns the first rule that matches, given what is known of the source, and the first of those that are not on trial; -1 for none.
func (ix *index) find(s *subject, of *knownSource) (any, decides int) {
	var m match
	if of.without != nil {
		m.field(of.without, of.rules)
	}
	if ix.clients.without != nil {
		m.field(ix.clients.without, ix.clients.find(s.client))
	}
	if ix.servers.without != nil {
		m.field(ix.servers.without, ix.servers.find(s.server))
	}
	if ix.clientLists.without != nil {
		ix.clientLists.find(s.client, &m)
	}
	if ix.serverLists.without != nil {
		ix.serverLists.find(s.server, &m)
	}
	if ix.ports.without != nil {
		m.field(ix.ports.without, ix.ports.find(s.port))
	}
	if ix.transports.without != nil {
		m.field(ix.transports.without, ix.transports.sets[s.transport])
	}
	if ix.policies.without != nil {
		m.field(ix.policies.without, ix.policies.sets[s.policy])
	}
	if ix.schedules.without != nil {
		m.field(ix.schedules.without, ix.schedules.find(s.at))
	}
	return m.first(ix.every, ix.live)
}

// split tells the rules without a field from those that have it. without is nil when none has it.
func split(rules []rule, has func(*rule) bool) (without members, with []uint32) {
	without = newMembers(len(rules))
	for i := range rules {
		if has(&rules[i]) {
			with = append(with, uint32(i))
		} else {
			without.add(i)
		}
	}
	if with == nil {
		return nil, nil
	}
	return without, with
}

// valueIndex is the index of a field that lists the values themselves.
type valueIndex[V comparable] struct {
	without members
	sets    map[V]*subset
}

func newValueIndex[V comparable](rules []rule, values func(*rule) []V) *valueIndex[V] {
	ix := &valueIndex[V]{}
	var with []uint32
	ix.without, with = split(rules, func(r *rule) bool { return values(r) != nil })
	byValue := map[V][]uint32{}
	for _, i := range with {
		for _, v := range values(&rules[i]) {
			byValue[v] = append(byValue[v], i)
		}
	}
	ix.sets = make(map[V]*subset, len(byValue))
	for v, of := range byValue {
		ix.sets[v] = newSubset(of, ix.without)
	}
	return ix
}
