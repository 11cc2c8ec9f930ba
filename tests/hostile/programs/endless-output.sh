#!/bin/bash
# tries: to fill the memory
# exit: 4
# says: 'the program was ended: it wrote more than `max_output` (10 MiB)'
yes 0123456789abcdef
