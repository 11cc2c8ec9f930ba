#!/bin/bash
# tries: to get the secret past what looks for it by writing it in pieces, over time
# exit: 1
# says: "***"
printf %s "${TOKEN:0:7}"
sleep 0.2
printf %s "${TOKEN:7:5}"
sleep 0.2
printf %s "${TOKEN:12}"
