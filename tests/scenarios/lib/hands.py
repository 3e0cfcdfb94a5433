"""What somebody does at the box's own screen, whatever it is connected by. Owns neither the connection nor the picture: `text`, `shows` and `keys` are those of whoever has them."""

import re


class Hands:
    """`screen.pick("Network")`, `screen.fill("name", "password")`."""

    def pick(self, label):
        """Presses the digit in front of a label that is to come."""
        if not self.shows(rf"\d +{label}"):
            raise RuntimeError(f"nothing to choose that is called {label}:\n{self.text}")
        self.keys(re.search(rf"(\d) +{label}", self.text).group(1))

    def fill(self, *texts):
        """Types into the fields that are shown, one after the other."""
        for text in texts:
            self.keys(f"{text}\n")
