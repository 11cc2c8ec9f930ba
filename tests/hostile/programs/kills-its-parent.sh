#!/bin/bash
# tries: to end what watches it
# exit: 1
# says: SIGKILL
kill -9 $$
