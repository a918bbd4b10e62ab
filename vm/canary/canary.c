// SPDX-License-Identifier: GPL-2.0
/*
 * A module that trips one detector of the debug kernel each time it is
 * loaded, to prove that a run in which nothing was reported means something.
 *
 *	insmod canary.ko trip=NAME
 *
 * It refuses to stay loaded (-ECANCELED), so that it can be loaded again.
 * With trip=none it does nothing at all: the twin that must stay silent.
 */
#include <linux/debugobjects.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/ref_tracker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <net/net_debug.h>

static char *trip = "none";
module_param(trip, charp, 0444);
MODULE_PARM_DESC(trip, "the detector to trip");

struct canary {
	struct list_head node;
	int value;
};

/* KASAN: read a freed object. */
static void trip_kasan(void)
{
	struct canary *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return;
	kfree(c);
	pr_info("canary: freed value %d\n", READ_ONCE(c->value));
}

/* PROVE_LOCKING: A then B, B then A. */
static DEFINE_MUTEX(canary_a);
static DEFINE_MUTEX(canary_b);

static void trip_lockdep(void)
{
	mutex_lock(&canary_a);
	mutex_lock(&canary_b);
	mutex_unlock(&canary_b);
	mutex_unlock(&canary_a);

	mutex_lock(&canary_b);
	mutex_lock(&canary_a);
	mutex_unlock(&canary_a);
	mutex_unlock(&canary_b);
}

/* PROVE_RCU: dereference outside a read-side section. */
static struct canary __rcu *canary_rcu;

static void trip_rcu(void)
{
	struct canary *c = rcu_dereference(canary_rcu);

	if (c)
		pr_info("canary: %d\n", c->value);
}

/* DEBUG_ATOMIC_SLEEP: sleep under a spinlock. */
static DEFINE_SPINLOCK(canary_lock);

static void trip_atomic(void)
{
	spin_lock(&canary_lock);
	might_sleep();
	spin_unlock(&canary_lock);
}

/* DEBUG_OBJECTS: free memory that holds an armed timer. */
static void canary_timeout(struct timer_list *timer)
{
}

static void trip_objects(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, canary_timeout, 0);
	mod_timer(timer, jiffies + 3600 * HZ);
	kfree(timer);
}

/* KMEMLEAK: lose the only pointer. */
static noinline void trip_leak(void)
{
	int i;

	/* Several, because a stale register or stack slot may hide one. */
	for (i = 0; i < 16; i++) {
		void *p = kmalloc(172, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
}

/* DEBUG_NET: its own warning macro. */
static void trip_net(void)
{
	DEBUG_NET_WARN_ON_ONCE(jiffies);
}

/* Reference trackers: leave the directory with a reference out. */
static void trip_tracker(void)
{
	struct ref_tracker_dir dir = {};
	struct ref_tracker *tracker = NULL;

	ref_tracker_dir_init(&dir, 16, "canary");
	ref_tracker_alloc(&dir, &tracker, GFP_KERNEL);
	ref_tracker_dir_exit(&dir);
}

/* refcount_t: increment from zero. */
static void trip_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
}

/* DEBUG_LIST: delete twice. */
static void trip_list(void)
{
	struct canary c;
	LIST_HEAD(list);

	list_add(&c.node, &list);
	list_del(&c.node);
	list_del(&c.node);
}

static void trip_warn(void)
{
	WARN(1, "canary\n");
}

/* An oops: kills the loader, not the guest. */
static void trip_oops(void)
{
	int *p = NULL;

	OPTIMIZER_HIDE_VAR(p);
	pr_info("canary: %d\n", READ_ONCE(*p));
}

static const struct {
	const char *name;
	void (*run)(void);
} trips[] = {
	{ "kasan", trip_kasan },
	{ "lockdep", trip_lockdep },
	{ "rcu", trip_rcu },
	{ "atomic", trip_atomic },
	{ "objects", trip_objects },
	{ "leak", trip_leak },
	{ "net", trip_net },
	{ "tracker", trip_tracker },
	{ "refcount", trip_refcount },
	{ "list", trip_list },
	{ "warn", trip_warn },
	{ "oops", trip_oops },
};

static int __init canary_init(void)
{
	int i;

	if (!strcmp(trip, "none"))
		return -ECANCELED;
	for (i = 0; i < ARRAY_SIZE(trips); i++) {
		if (!strcmp(trips[i].name, trip)) {
			trips[i].run();
			return -ECANCELED;
		}
	}
	return -EINVAL;
}

module_init(canary_init);

MODULE_DESCRIPTION("Trips one kernel detector at a time");
MODULE_LICENSE("GPL");
