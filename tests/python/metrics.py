"""Reads metrics as a collector does, and prints each sample of ours in a line of its own: its name, its labels and its value.

    metrics.py URL
"""

import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with urllib.request.urlopen(sys.argv[1]) as answer:
    kind = answer.headers["content-type"]
    text = answer.read().decode()
assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", kind
for family in text_string_to_metric_families(text):
    assert family.documentation, family.name
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        print(sample.name, labels or "-", sample.value)
