"""Reads a page of metrics with Prometheus' own parser, and says what is wrong with it. Owns no checks."""

from prometheus_client.parser import text_string_to_metric_families


class Metrics:
    """A parsed page: `samples` is name to a list of (labels, value)."""

    def __init__(self, text):
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples = {}
        for family in self.families:
            for sample in family.samples:
                self.samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def value(self, name, **labels):
        """The one sample that has these labels; none if there is none, or more than one."""
        found = [value for had, value in self.samples.get(name, []) if labels.items() <= had.items()]
        return found[0] if len(found) == 1 else None

    def problems(self, prefix="keepwell_"):
        """What a page of ours must not have: foreign names, no type or help, the same sample twice."""
        wrong = [] if self.families else ["no metrics"]
        for family in self.families:
            wrong += [f"{family.name}: not {prefix}*"] * (not family.name.startswith(prefix))
            wrong += [f"{family.name}: no type"] * (family.type in ("unknown", "untyped"))
            wrong += [f"{family.name}: no help"] * (not family.documentation)
        for name, samples in self.samples.items():
            keys = [tuple(sorted(labels.items())) for labels, _ in samples]
            wrong += [f"{name}: the same labels twice"] * (len(set(keys)) < len(keys))
        return wrong

    def leaks(self, canaries):
        """Labels whose value holds one of these names, whatever its case, and names in any other place of the page."""
        canaries = [canary.lower() for canary in canaries]
        found = [
            f"{name}: {label}={text!r}"
            for name, samples in self.samples.items()
            for labels, _ in samples
            for label, text in labels.items()
            if any(canary in text.lower() for canary in canaries)
        ]
        return found + [f"in the page: {canary}" for canary in canaries if not found and canary in self.text.lower()]
