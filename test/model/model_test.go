package model

// This file draws what happens next.

import (
	"time"

	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// model is a world in which chance rules.
type model struct {
	*world
	t *rapid.T
	// two operators believe that they lead.
	two bool
	// stale: an operator began with caches older than what its predecessor wrote.
	stale bool
	// slow: several things happen in one second.
	slow int
	step int
}

func newModel(t *rapid.T, s *stage) *model {
	m := &model{world: newWorld(s), t: t}
	m.two = rapid.Bool().Draw(t, "two operators")
	m.admission = rapid.Bool().Draw(t, "webhooks")
	m.policy = rapid.Bool().Draw(t, "policy")
	if m.honest = rapid.Bool().Draw(t, "honest plugin"); rapid.Bool().Draw(t, "marks") {
		m.completion = m.marks()
	}
	m.slow = 1
	if rapid.Bool().Draw(t, "several steps in a second") {
		m.slow = 4
	}
	must(m.create(newClass(func(s *v1.StreamClassSpec) {
		s.Completion = m.completion
		if rapid.Bool().Draw(t, "limited") {
			s.Backfill = &v1.ClassBackfill{MaxConcurrent: ptr.To[int32](1)}
		}
	})))
	std := newTemplate("std")
	if rapid.Bool().Draw(t, "probed") {
		toggleProbe(&std.Spec.Spec)
	}
	if rapid.Bool().Draw(t, "beside") {
		toggleBeside(&std.Spec.Spec)
	}
	must(m.create(std))
	must(m.create(newTemplate("big")))
	m.pick("first", m.creations(names[0]))
	m.ops = append(m.ops, m.hire(0, false))
	if m.two {
		m.ops = append(m.ops, m.hire(1, false))
	}
	return m
}

// pick lets one of these happen.
func (m *model) pick(label string, may []happening) {
	if len(may) == 0 {
		return
	}
	m.happen(may[rapid.IntRange(0, len(may)-1).Draw(m.t, label)])
	if m.broken != "" {
		m.t.Fatalf("%s\n%s", m.broken, m.story())
	}
}

// who may act, each as often as it is listed: operators and cluster act more often
// than users, or nothing would ever get far.
var who = []func(*model) []happening{
	(*model).working, (*model).healthy, (*model).working, (*model).healthy, (*model).faulty, (*model).users,
	(*model).working, (*model).healthy, (*model).operators, (*model).working, (*model).healthy, (*model).time,
	(*model).working, (*model).healthy, (*model).operators, (*model).working, (*model).healthy, (*model).rarely,
}

func (m *model) users() []happening   { return m.world.users() }
func (m *model) healthy() []happening { return append(m.cluster(true), m.schedule()...) }
func (m *model) faulty() []happening  { return m.cluster(false) }

// rarely is what happens less often.
func (m *model) rarely() []happening {
	return []func() []happening{m.administrators, m.meddlers, m.attackers}[rapid.IntRange(0, 2).Draw(m.t, "rarely")]()
}

// time lists how the clock may jump.
func (m *model) time() []happening {
	var list []happening
	for _, d := range []time.Duration{10 * time.Second, time.Minute, 15 * time.Minute, 2 * time.Hour} {
		list = append(list, happening{"time passes:", d.String(), func() { m.clock.advance(d) }})
	}
	return list
}

// working are the steps of operators that go well.
func (m *model) working() []happening {
	var list []happening
	for _, o := range m.ops {
		list = append(list, going(o)...)
		for k := range o.caches {
			if c := &o.caches[k]; c.lags || len(c.missed) > 0 {
				list = append(list, happening{o.name + " catches up with", kind(k).String(), func() { m.catchUp(o, kind(k)) }})
			}
		}
	}
	return list
}

// going are the next steps of an operator's passes.
func going(o *operator) []happening {
	var list []happening
	for _, k := range o.works {
		if k.running {
			list = append(list, happening{o.name + " " + o.names[k.number] + ": " + k.next.verb, k.next.name, func() { k.step(permission{send: true}) }})
		}
		for _, due := range k.ready() {
			list = append(list, happening{o.name + " " + o.names[k.number] + " takes up", due.Name, func() { k.begin(due) }})
		}
	}
	return list
}

func (m *model) catchUp(o *operator, k kind) { m.through(o, func() { o.catchUp(k) }) }

// operators lists what else may happen to operators.
func (m *model) operators() []happening {
	var list []happening
	for i, o := range m.ops {
		list = append(list, happening{"operator dies:", o.name, func() { m.crash(i) }})
		for k := range o.caches {
			if c := &o.caches[k]; !c.lags {
				list = append(list,
					happening{o.name + " lags behind in", kind(k).String(), func() { c.lags = true }},
					happening{o.name + " will miss one of the", kind(k).String(), func() { c.missing = true }})
			}
		}
		for _, k := range o.works {
			if k.running {
				list = append(list, happening{o.name + " " + o.names[k.number] + " loses the reply to: " + k.next.verb, k.next.name, func() { k.step(permission{send: true, crash: true}) }})
			}
		}
		k := o.works[0]
		for _, n := range m.byKind[streams].names() {
			if !k.running {
				list = append(list, happening{o.name + " takes up for no reason", n, func() { k.begin(keyOf(n)) }})
			}
		}
	}
	return list
}

func keyOf(name string) key {
	var k key
	k.Namespace, k.Name = namespace, name
	return k
}

// crash ends an operator and starts a fresh one.
func (m *model) crash(i int) {
	o := m.ops[i]
	o.die(func(*work) bool { return rapid.Bool().Draw(m.t, "sent") })
	stale := rapid.Bool().Draw(m.t, "stale")
	m.stale = m.stale || stale
	m.ops[i] = m.hire(i, stale)
}

// tick is one step of the world.
func (m *model) tick() {
	m.step++
	if m.step%m.slow == 0 {
		m.clock.advance(time.Second)
	}
	if m.step%16 == 0 {
		m.remember()
	}
	m.pick("what", who[rapid.IntRange(0, len(who)-1).Draw(m.t, "who")](m))
}

// liveWorld lets a world live for some steps, and come to rest.
func liveWorld(t *rapid.T, s *stage, steps int) (lived, rested int) {
	m := newModel(t, s)
	defer m.close()
	for range steps {
		m.tick()
	}
	if m.two || m.stale {
		// A status that another process wrote, and that is seen late, wakes an operator
		// no more than what it writes itself: it has to begin anew.
		m.calm()
		m.replace()
	}
	m.rest(rapid.Bool().Draw(t, "operators first"))
	if m.broken != "" {
		t.Fatalf("%s\n%s", m.broken, m.story())
	}
	return m.step, m.rested
}

// close ends what is left of the operators.
func (w *world) close() {
	for _, o := range w.ops {
		if !o.dead {
			o.die(func(*work) bool { return false })
		}
	}
}
