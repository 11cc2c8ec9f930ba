#!/bin/bash
# tries: to fill the memory by standard error
# exit: 1
# says: max_output
yes 0123456789abcdef >&2
