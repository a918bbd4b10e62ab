// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routers that end by another wish than they began with, that lie, and that are away.

use super::*;

/// Something that may happen, the doings of routers among it.
#[derive(Clone, Debug)]
enum Step {
    Op(Op),
    /// A router begins to act on its wish.
    Begin(usize),
    /// It says that it has acted, and holds what it held; it is read back.
    Lie(usize),
    /// It takes its wish and cannot be read, if it never was.
    Away(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        7 => op().prop_map(Step::Op),
        1 => (0..3_usize).prop_map(Step::Begin),
        1 => (0..3_usize).prop_map(Step::Lie),
        1 => (0..3_usize).prop_map(Step::Away),
    ]
}

/// The world, and what its routers are about to do.
struct Late {
    world: World,
    begun: BTreeMap<usize, Wish>,
    read: BTreeSet<usize>,
}

impl Late {
    fn new() -> Self {
        Self { world: World::new(), begun: BTreeMap::new(), read: BTreeSet::new() }
    }

    fn wish(&self, router: usize) -> Option<Wish> {
        self.world.conductor.wish(ROUTERS[router]).cloned()
    }

    /// It has acted, on the wish it began with, and is read back.
    fn act(&mut self, router: usize) {
        self.read.insert(router);
        match self.begun.remove(&router) {
            Some(wish) => {
                self.world.acted.insert(ROUTERS[router], wish.generation);
                self.world.rules.insert(ROUTERS[router], wish.entries);
                self.world.happen(&Op::Read(router));
            }
            None => self.world.happen(&Op::Act(router)),
        }
    }

    fn happen(&mut self, step: &Step) {
        match *step {
            Step::Op(Op::Act(router)) => self.act(router),
            Step::Op(ref op) => {
                if let Op::Read(router) = *op {
                    self.read.insert(router);
                }
                self.world.happen(op);
            }
            Step::Begin(router) => {
                if let Some(wish) = self.wish(router) {
                    self.begun.insert(router, wish);
                }
            }
            Step::Lie(router) => {
                if let Some(Wish { generation, .. }) = self.wish(router) {
                    self.world.acted.insert(ROUTERS[router], generation);
                }
                self.read.insert(router);
                self.world.happen(&Op::Read(router));
            }
            Step::Away(router) => {
                if let Some(Wish { generation, .. }) = self.wish(router)
                    && !self.read.contains(&router)
                {
                    let seen = Seen { generation, read: false, on: BTreeSet::new() };
                    self.world.conductor.take_router(ROUTERS[router], seen);
                    self.world.conductor.settle(self.world.now);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// What a router says of itself frees nothing, nor does what it did by an older wish.
    #[test]
    fn a_circuit_is_free_only_when_no_router_can_be_sending_into_it(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut late = Late::new();
        for step in &steps {
            late.happen(step);
            let Late { world, .. } = &late;
            let steered = world.conductor.steered();
            for (name, circuit) in world.conductor.circuits().into_iter().flatten() {
                let free = !steered.contains(name);
                for way in circuit.ways.iter().filter(|_| free) {
                    let rules = &world.rules[way.router.as_str()];
                    prop_assert!(rules.values().all(|path| *path != way.path), "{name} {step:?}");
                }
            }
        }
    }

    /// Routers that act and are read in the end free whatever is not to be used, whatever they did before.
    #[test]
    fn what_is_not_used_becomes_free_of_such_routers(
        steps in proptest::collection::vec(step(), 0..30),
    ) {
        let mut late = Late::new();
        steps.iter().for_each(|step| late.happen(step));
        let all = vec![(0, false), (1, false), (2, true)];
        late.happen(&Step::Op(Op::Circuits(all)));
        // What was begun before, and then the last wish.
        (0..6).for_each(|n| late.act(n % 3));
        let steered = late.world.conductor.steered();
        let free = |n, usable| !steered.contains(&circuit(n, usable).0);
        prop_assert!(free(0, false) && free(1, false) && !free(2, true));
    }
}
