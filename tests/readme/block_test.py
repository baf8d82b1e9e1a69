import unittest

from block import block

TEXT = """# Title

## One

```sh
# no heading, and no C++
```

## Two

words

```cpp
#include <x>
int main() {}
```

```cpp
second
```
"""


class BlockTest(unittest.TestCase):
    def test_is_the_first_of_its_section(self):
        self.assertEqual(block(TEXT, "Two"), "#include <x>\nint main() {}\n")

    def test_of_another_section_is_not_taken(self):
        with self.assertRaisesRegex(ValueError, "no ```cpp block"):
            block(TEXT, "One")

    def test_without_the_heading_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "no heading"):
            block(TEXT, "Three")
        with self.assertRaisesRegex(ValueError, "no heading"):
            block(TEXT, "Tw")


if __name__ == "__main__":
    unittest.main()
