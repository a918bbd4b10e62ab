# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What clocks say."""

import datetime
import re
import zoneinfo

EPOCH = datetime.date(1970, 1, 1)
RULE = re.compile(r"[A-Z]+(-?\d+)[A-Z]+" + r",M(\d+)\.(\d)\.(\d)(?:/(\d+))?" * 2)


def clock(zone):
    """From a second since 1970 to the seconds that the zone is ahead of UTC then."""
    if zone[0] in "+-":
        hours, minutes = zone[1:].split(":")
        ahead = int(hours) * 3600 + int(minutes) * 60
        return lambda second: -ahead if zone[0] == "-" else ahead
    slow = by_rule(zone) if "," in zone else by_name(zone)
    known = {}

    # Clocks are changed at full quarters of an hour.
    def ahead(second):
        quarter = second // 900
        if quarter not in known:
            known[quarter] = slow(quarter * 900)
        return known[quarter]
    return ahead


def by_name(zone):
    named = zoneinfo.ZoneInfo(zone)
    return lambda second: round(
        datetime.datetime.fromtimestamp(second, named).utcoffset().total_seconds())


def by_rule(zone):
    """STANDARDhoursSUMMER,Mmonth.week.weekday/hour,Mmonth.week.weekday/hour."""
    west, *fields = RULE.fullmatch(zone).groups()
    standard = -int(west) * 3600
    summer = standard + 3600

    def change(year, month, week, weekday, hour):
        """The second of local time."""
        days = [d for d in (datetime.date(year, int(month), 1) + datetime.timedelta(days=n)
                            for n in range(31))
                if d.month == int(month) and d.isoweekday() % 7 == int(weekday)]
        day = days[-1] if week == "5" else days[int(week) - 1]
        return (day - EPOCH).days * 86400 + int(hour or 2) * 3600

    def ahead(second):
        year = (EPOCH + datetime.timedelta(days=second // 86400)).year
        changes = [c for y in (year - 1, year, year + 1) for c in (
            (change(y, *fields[:4]) - standard, summer),
            (change(y, *fields[4:]) - summer, standard))]
        return max(c for c in changes if c[0] <= second)[1]
    return ahead
