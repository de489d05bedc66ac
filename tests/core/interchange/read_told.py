"""Documents of other formats that bring each of their fields up, and what reading them comes to.

The pages in ``told/`` are the approved answer: the contract file, what is lost and what must still
be stated. A change to a document shows as the difference it makes. After a change that is meant,
write them anew and read the difference before it is committed:

    python -m tests.core.interchange.read_told
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import unified_diff
from functools import partial
from pathlib import Path

from services.core.contracts.interchange.carried import Imported, read_as_text
from services.core.contracts.interchange.openslo import from_openslo
from services.core.contracts.interchange.sla4oai import from_sla4oai
from services.core.contracts.interchange.tmf623 import from_sla
from tests.core.approved import in_lines, write_anew

PAGES = Path(__file__).parent / "told"

OPENSLO = """\
apiVersion: openslo/v1
kind: Service
metadata: {name: shop}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: searchLatency, displayName: Latency of searches}
spec:
  thresholdMetric: {metricSource: {type: Any}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: fast-search, displayName: Fast search, labels: {team: a}}
spec:
  description: Searches are fast.
  service: Shop
  indicatorRef: searchLatency
  timeWindow:
    - duration: 1Q
      isRolling: false
      calendar: {startTime: 2025-01-01 12:00:00, timeZone: Europe/Paris}
  budgetingMethod: Occurrences
  alertPolicies: [page]
  objectives:
    - {displayName: Good, op: lt, value: 500, target: 0.99, composite: x}
    - {displayName: Best, op: lte, value: 0.250, targetPercent: 95.50}
    - {op: gt, value: 3, target: 0.9}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: up}
spec:
  service: Shop
  indicator:
    metadata: {name: up}
    spec: {ratioMetric: {counter: true, good: {metricSource: {}}, total: {metricSource: {}}}}
  timeWindow: [{duration: 1M, isRolling: false, calendar: {timeZone: Europe/Paris}}]
  budgetingMethod: Timeslices
  objectives:
    - {target: 0.999, timeSliceTarget: 0.95, timeSliceWindow: 5m}
    - {target: 0.99, timeSliceWindow: 5m}
---
apiVersion: openslo/v1
kind: SLO
metadata: {displayName: Elsewhere}
spec:
  description: Given elsewhere.
  service: other
  indicatorRef: nowhere
  objectives: [{displayName: Lone}]
"""
OPENSLO_CHANGES = [
    ("kind: Service\n", "kind: AlertPolicy\n"),
    ("apiVersion: openslo/v1\nkind: Service", "apiVersion: openslo/v2\nkind: Service"),
    ("apiVersion: openslo/v1\nkind: Service", "kind: Service"),
    ("kind: SLO", "kind: Service"),
    ("duration: 1Q", "duration: 1d"),
    ("duration: 1Q", "duration: 3M"),
    ("duration: 1Q", "duration: 6M"),
    ("duration: 1Q", "duration: 1Y"),
    ("duration: 1Q", "duration: 2w"),
    ("duration: 1Q", "duration: 1M"),
    ("duration: 1Q\n      isRolling: false", "duration: 28d\n      isRolling: True"),
    ("duration: 1Q\n      isRolling: false", "duration: 1M\n      isRolling: true"),
    ("      calendar: {startTime: 2025-01-01 12:00:00, timeZone: Europe/Paris}\n", ""),
    ("12:00:00, timeZone: Europe/Paris", "00:00:00, timeZone: Asia/Tokyo"),
    ("[{duration: 1M, isRolling: false, calendar: {timeZone: Europe/Paris}}]", "none"),
    ("budgetingMethod: Timeslices", "budgetingMethod: RatioTimeslices"),
    ("budgetingMethod: Timeslices", "budgetingMethod: Occurrences"),
    ("budgetingMethod: Occurrences", "budgetingMethod: Timeslices"),
    ("metadata: {name: fast-search, displayName: Fast search, labels: {team: a}}", "metadata: {}"),
    (", displayName: Fast search", ""),
    ("name: fast-search", "name: Fast Search!"),
    ("  description: Searches are fast.\n", ""),
    ("  service: Shop\n  indicatorRef: searchLatency\n", "  indicatorRef: searchLatency\n"),
    ("  indicatorRef: searchLatency\n", ""),
    ("  service: Shop\n  indicatorRef: searchLatency\n", ""),
    ("name: searchLatency, displayName: Latency of searches", "name: searchLatency"),
    ("thresholdMetric: {metricSource: {type: Any}}", "ratioMetric: {raw: {}, good: {}, total: {}}"),
    ("thresholdMetric: {metricSource: {type: Any}}", "description: x"),
    ("value: 500, target: 0.99", "value: 500, target: most"),
    ("value: 500, target: 0.99", "value: fast, target: 0.99"),
    ("value: 500, target: 0.99", "target: 0.99"),
    ("op: lt, value: 500", "op: gte, value: 500"),
    ("op: lt, value: 500", "value: 500"),
    ("op: lte, value: 0.250", "op: lt, value: 500.0"),
    ("targetPercent: 95.50", "targetPercent: most"),
    ("targetPercent: 95.50", "targetPercent: 95.50, target: 0.5"),
    ("    - {op: gt, value: 3, target: 0.9}\n", "    - twice\n"),
    ("metadata: {name: up}\nspec:", "metadata: {name: fast-search-1}\nspec:"),
    ("metadata: {name: up}\nspec:", "metadata: {}\nspec:"),
    ("metadata: {name: up}\n    spec", "metadata: {name: searchLatency}\n    spec"),
    ("timeSliceTarget: 0.95, timeSliceWindow: 5m", "timeSliceTarget: 0.95"),
    ("displayName: Lone", "displayName: " + "very " * 500 + "long"),
    ("apiVersion: openslo/v1\nkind: Service", "kind: ["),
]  # fmt: skip

SLA4OAI = """\
id: doc-7
version: 1.0.0
sla: 1.0
type: instance
extra: thing
context:
  id: petStore
  provider: Pet Group
  consumer: Tenant One
  api: x
  validity: {effectiveDate: "2025-01-01T09:00:54Z", expirationDate: 2027-01-01, timeZone: Etc/UTC}
metrics:
  responseTime: {type: integer, unit: ms, description: Time to answer}
  upTime: {type: integer, unit: percent}
pricing: {cost: 50, currency: EUR, billing: monthly}
quotas: {/pets: {get: {requests: [{max: 20}]}}}
rates: [one]
guarantees:
  global:
    global:
      - {objective: responseTime <= 250, period: daily, window: static, note: x}
      - {objective: upTime >= '99.50', window: {type: static, period: monthly}}
  /pets:
    get:
      - {objective: responseTime < 100, period: quarterly, window: dynamic}
      - {objective: errors > 3, period: yearly}
      - {objective: responseTime == 5, period: hourly}
      - {objective: responseTime <= upTime, period: daily}
      - word
plans:
  free:
    quotas: {/pets: {}}
    availability: x
  pro:
    pricing: {cost: 100, currency: USD}
    rates: {/pets: {}}
    guarantees:
      /pets: {get: [{objective: upTime > 95, period: daily, window: static}]}
"""
IAGREE = """\
id: ag-1
version: "1"
type: agreement
context:
  provider: {name: isa}
  validity: {initial: 2025-01-01, end: "2025-12-31T00:00:30", timeZone: Europe/Madrid}
  definitions: {}
terms:
  metrics: {UP: {schema: {}}}
  pricing: {currency: points}
  notes: n
  guarantees:
    - id: G1
      description: d
      of:
        - objective: UP >= 99
          window: {type: static, period: monthly, initial: x}
          penalties:
            - {over: {creditDiscount: {unit: percent}}, upTo: 50,
               of: [{value: 10, condition: UP < 99}, {value: 30, condition: UP < 95}]}
            - {of: [none]}
          rewards: [free, {over: {a: {}, b: {}}}]
        - objective: UP
    - of: [{objective: DOWN <= -0.5, window: {type: dynamic, period: weekly}}]
    - word
"""
SLA4OAI_CHANGES = [
    ("  id: petStore\n", ""),
    ("id: doc-7\n", ""),
    ("  id: petStore\n  provider: Pet Group\n", ""),
    ("  provider: Pet Group\n", "provider: Top\n"),
    ("context:\n  id: petStore\n  provider: Pet Group\n",
     "provider: Top\ncontext:\n  id: petStore\n"),
    ("context:\n  id: petStore\n  provider: Pet Group\n",
     "provider: {name: Top Name}\ncontext:\n  id: petStore\n"),
    ("version: 1.0.0\n", "version: 1.0.0\nprovider: Top\n"),
    ("  consumer: Tenant One\n", ""),
    (", timeZone: Etc/UTC", ""),
    ('"2025-01-01T09:00:54Z"', '"2025-01-01T00:00:01Z"'),
    ('"2025-01-01T09:00:54Z"', '"2025-01-01T00:01:00Z"'),
    ('"2025-01-01T09:00:54Z"', '"2025-01-01T01:00:00Z"'),
    ("expirationDate: 2027-01-01", "expirationDate: soon"),
    ("expirationDate: 2027-01-01", "end: 2026-01-01"),
    ("currency: EUR", "currency: EURO"),
    ("currency: EUR", "currency: euro"),
    (", currency: EUR", ""),
    (", currency: USD", ""),
    ("currency: USD", "currency: dollars"),
    ("cost: 50, ", ""),
    ("rates: [one]", "rates: []"),
    ("quotas: {/pets: {get: {requests: [{max: 20}]}}}\n", ""),
    ("unit: ms, description: Time to answer", "description: Time"),
    ("unit: ms,", "unit: furlongs,"),
    ("objective: responseTime <= 250", "objective: responseTime >= 250"),
    ("objective: responseTime <= 250", "objective: responseTime"),
    ("objective: responseTime <= 250", "objective: '  responseTime<= -250.25 '"),
    ("objective: responseTime <= 250", "objective: responseTime = 250"),
    ("objective: responseTime <= 250, ", ""),
    ("period: daily, window: static, note", "note"),
    ("window: {type: static, period: monthly}", "window: {type: dynamic, period: monthly}"),
    ("window: {type: static, period: monthly}", "window: {period: monthly}"),
    ("window: dynamic", "window: {type: dynamic}"),
    ("  /pets:\n    get:\n", "  /pets:\n    post:\n"),
    ("  /pets:\n    get:\n", "  global-2:\n    get:\n"),
    ("      - word\n", "      - {objective: responseTime < 101, period: daily}\n"),
    ("      /pets: {get:", "      global: {global:"),
    ("plans:\n  free:", "plans:\n  Free Plan:"),
    ("    availability: x\n", "    guarantees: {/pets: none}\n"),
    ("guarantees:", "promises:"),
    ("id: doc-7\n", "---\nid: doc-7\n---\n"),
    ("id: doc-7\n", "id: [\n"),
    ("  api: x\n", "  sla: 1.0\n  type: instance\n  version: 2\n"),
    ("id: petStore", "id: '---'"),
]  # fmt: skip
IAGREE_CHANGES = [
    ("{name: isa}", "isa"),
    ("{name: isa}", "{id: isa-1, name: isa}"),
    ("{name: isa}", "{}"),
    ("initial: 2025-01-01", "effectiveDate: 2025-02-01, initial: 2025-01-01"),
    ("initial: 2025-01-01", "initial: soon"),
    ("- id: G1\n      description: d\n      of:", "- of:"),
    ("- id: G1", "- id: global-1"),
    ("type: static, period", "type: dynamic, period"),
    (" upTo: 50,", ""),
    ("over: {creditDiscount: {unit: percent}}, ", ""),
    ("of: [{value: 10, condition: UP < 99}, {value: 30, condition: UP < 95}]", "of: none"),
    ("- {of: [none]}", "- none"),
    ("terms:\n", "terms: {}\nmore:\n"),
    ("        - objective: UP\n    - of", "        - objective: UP\n        - word\n    - of"),
]  # fmt: skip

TMF623 = """\
id: fast data
name: Fast data
description: At high speed
version: "2"
validFor: {startDateTime: "2025-01-01T00:00:00+01:00", endDateTime: "2027-01-01T12:30:00+01:00"}
template: {href: https://acme.example/slaTemplate/42}
relatedParty:
  - {href: https://acme.example/party/acme/, role: SLAProvider}
  - {id: Town Hall, name: Ignored, role: SLAConsumer}
  - {id: watcher, role: SLAAuditor}
  - word
rule:
  - {id: down, metric: https://acme.example/metrics/downstream/, unit: number, referenceValue: 1024,
     operator: .ge, tolerance: 0.20, consequence: Clause 45, extra: x}
  - {id: delay, metric: delay, unit: ms, referenceValue: 20.5, operator: .lt, tolerance: 0.0}
  - {id: state, metric: state, unit: string, referenceValue: good, operator: .eq}
  - {metric: delay, unit: ms, referenceValue: 30, operator: .gt}
  - word
"""
TMF623_CHANGES = [
    ("id: fast data\n", ""),
    ("id: fast data\n", "'@type': SLA\nid: fast-data\n"),
    ("name: Fast data\n", ""),
    ("description: At high speed\n", ""),
    ("name: Fast data\ndescription: At high speed\n", ""),
    ('version: "2"\n', ""),
    ('version: "2"', "version: 0"),
    ('version: "2"', "version: 1"),
    ('version: "2"', "version: 1.5"),
    ('startDateTime: "2025-01-01T00:00:00+01:00", ', ""),
    (', endDateTime: "2027-01-01T12:30:00+01:00"', ""),
    ("2025-01-01T00:00:00+01:00", "2025-01-01T00:00:00"),
    ("2025-01-01T00:00:00+01:00", "soon"),
    ("href: https://acme.example/party/acme/, role", "name: Acme Ltd, href: x/y, role"),
    ("href: https://acme.example/party/acme/, role", "role"),
    ("href: https://acme.example/party/acme/, role", "href: 'urn:', role"),
    ("role: SLAProvider", "role: SLAConsumer"),
    ("id: Town Hall, name: Ignored, role: SLAConsumer", "id: Town Hall"),
    ("  - word\nrule:", "rule:"),
    *((", unit: number,", f", unit: {unit},") for unit in
      ("%", "percent", "ms", "s", "sec", "min", "h", "d", "count", "minutes", "none")),
    (" unit: number,", ""),
    *(("operator: .ge", f"operator: {operator}") for operator in
      (".le", ".lt", ".gt", "'>='", "'<'", "above", "'='")),
    (" referenceValue: 1024,", ""),
    ("tolerance: 0.20", "tolerance: 0.00"),
    ("tolerance: 0.20", "tolerance: 10"),
    (" tolerance: 0.20,", ""),
    (" consequence: Clause 45,", ""),
    ("id: down, metric: https://acme.example/metrics/downstream/", "id: down"),
    ("id: down, metric: https://acme.example/metrics/downstream/", "note: none"),
    ("id: delay, metric: delay, unit: ms", "id: down, metric: delay, unit: s"),
    ("rule:\n", "rules:\n"),
    ("", "sla:\n  rule: [{id: inner, metric: inner}]\n"),
    ("{id: down", "{id: Down Stream"),
    ("{id: down", "{id: _-_"),
    ("{id: d", "{id: " + 90 * "d"),
    ("metric: delay", "metric: https://acme.example/delayX"),
    ("tolerance: 0.0}", "tolerance: X}"),
]  # fmt: skip


def _of_tmf623(text: str) -> Imported:
    (document,) = read_as_text(text)
    return from_sla(document)


PAGE: dict[str, tuple[Callable[[str], Imported], str, Sequence[tuple[str, str]]]] = {
    "openslo": (from_openslo, OPENSLO, OPENSLO_CHANGES),
    "sla4oai": (from_sla4oai, SLA4OAI, SLA4OAI_CHANGES),
    "iagree": (from_sla4oai, IAGREE, IAGREE_CHANGES),
    "tmf623": (_of_tmf623, TMF623, TMF623_CHANGES),
}


def page(name: str) -> str:
    """All that reading the document comes to, then what each change to it makes different."""
    read, text, changes = PAGE[name]
    base = told(read, text)
    lines = [*text.splitlines(), "", "is read as", "", *base]
    for old, new in changes:
        assert old in text, old
        after = told(read, text.replace(old, new))
        refused = len(after) == 1
        difference = after if refused else list(unified_diff(base, after, n=0, lineterm=""))[2:]
        lines += ["", f"{old!r} -> {new[:80]!r}"]
        lines += [f"  {one[:300]}" for one in difference if not one.startswith("@@")]
    return in_lines(lines)


def told(read: Callable[[str], Imported], text: str) -> list[str]:
    """The contract file, what is lost and what must be stated; or why nothing is read."""
    try:
        found = read(text)
    except ValueError as error:
        return [f"refused: {error}"]
    return [
        *found.text.splitlines(),
        *(f"lost: {one.text()}" for one in found.lost),
        # Without the line: it would make every change show as many.
        *(f"to be stated: {one.path}: {one.reason}; {one.remedy}" for one in found.must_be_stated),
    ]


if __name__ == "__main__":
    write_anew(PAGES, {name: partial(page, name) for name in PAGE})
