//! What is planted is found, in its channel and in its form: a search that is silent for want of eyes proves nothing.
