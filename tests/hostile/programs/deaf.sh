#!/bin/bash
# tries: not to end when it is told to
# exit: 4
# says: 'nobody knows whether it took effect: no answer within 3 s'
# action: {timeout: 3s}
trap '' TERM INT HUP
while true; do sleep 0.2; done
