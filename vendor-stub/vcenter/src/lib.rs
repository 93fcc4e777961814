//! A stand-in vCenter: HTTPS SOAP server over the lab.
