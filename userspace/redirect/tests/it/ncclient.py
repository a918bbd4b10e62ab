# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Speaks to the router at a Unix socket by ncclient, one verb a run, and prints what it found.

It shares no code with the device or with the router, so that those two are not only judged by
each other.
"""

import sys
import time

from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
NAME = "hntes-net-" + 32 * "0"


def local(element):
    return etree.QName(element).localname


def under(element, *path):
    """The elements along a path of local names."""
    found = [element]
    for name in path:
        found = [child for one in found for child in one if local(child) == name]
    return found


def text(element, *path):
    return under(element, *path)[0].text.strip()


def rules(session, source="running"):
    """What the filters match, as `RANK SOURCE DESTINATION INSTANCE` and more for 5-tuples."""
    reply = session.get_config(source=source).data
    [configuration] = under(reply, "configuration")
    lists = {}
    for one in under(configuration, "policy-options", "prefix-list"):
        lists[text(one, "name")] = [text(item, "name") for item in under(one, "prefix-list-item")]
    found = []
    families = [one for all in under(configuration, "firewall", "family") for one in all]
    for family in families:
        for term in under(family, "filter", "term"):
            [of] = under(term, "from")
            to = text(term, "then", "routing-instance", "routing-instance-name")
            if under(of, "source-prefix-list"):
                for src in lists[text(of, "source-prefix-list", "name")]:
                    for dst in lists[text(of, "destination-prefix-list", "name")]:
                        found.append(f"{src} {dst} {to}")
            else:
                pair = [text(of, f"{end}-address", "name") for end in ("source", "destination")]
                ports = [text(of, f"{end}-port") for end in ("source", "destination")]
                found.append(" ".join(pair + ports + [to]))
    return found


def config(src, dst, instance):
    """One pair of networks, in the form that the device has."""
    def prefix_list(end, prefix):
        return (
            f"<prefix-list><name>{NAME}-{end}</name><prefix-list-item><name>{prefix}</name>"
            "</prefix-list-item></prefix-list>"
        )
    return (
        f'<config xmlns="{NC}"><configuration><policy-options>{prefix_list("src", src)}'
        f'{prefix_list("dst", dst)}</policy-options><firewall><family><inet><filter>'
        f"<name>HNTES</name><term><name>{NAME}</name><from>"
        f"<source-prefix-list><name>{NAME}-src</name></source-prefix-list>"
        f"<destination-prefix-list><name>{NAME}-dst</name></destination-prefix-list></from>"
        "<then><routing-instance><routing-instance-name>"
        f"{instance}</routing-instance-name></routing-instance></then></term></filter></inet>"
        "</family></firewall></configuration></config>"
    )


def edit(session, *pair):
    session.edit_config(target="candidate", config=config(*pair), default_operation="merge")


def main(path, verb, *words):
    with manager.connect_uds(path=path, timeout=120) as session:
        if verb == "rules":
            print(*rules(session), sep="\n")
        elif verb == "write":
            # The whole way, as the device goes it: tried, and then confirmed.
            with session.locked("candidate"):
                edit(session, *words)
                session.validate("candidate")
                session.commit(confirmed=True, timeout="120")
                session.commit()
        elif verb == "discard":
            edit(session, *words)
            print(len(rules(session, "candidate")) - len(rules(session)))
            session.discard_changes()
            print(len(rules(session, "candidate")) - len(rules(session)))
        elif verb == "forget":
            # Nobody confirms: the router goes back when the time is over.
            edit(session, *words)
            session.commit(confirmed=True, timeout="2")
            before = rules(session)
            time.sleep(3)
            print(len(before) - len(rules(session)))
        elif verb == "refused":
            for call in (
                lambda: session.lock("candidate"),
                lambda: session.edit_config(target="candidate", config=words[0]),
            ):
                try:
                    call()
                    print("taken")
                except RPCError as error:
                    print(error.tag)


main(*sys.argv[1:])
