// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The options that say what records do not.

use crate::input::Assume;
use anyhow::{Context, Result};
use std::net::IpAddr;
use telesteer_fam::Sampling;

/// Of `--assume-exporter` and every `--assume-sampling`.
pub(super) fn assume(exporter: Option<IpAddr>, sampling: &[String]) -> Result<Assume> {
    let exporter = exporter.map(|exporter| exporter.to_canonical());
    let mut assume = Assume { exporter, ..Assume::default() };
    for text in sampling {
        let number = |text: &str| {
            text.parse()
                .ok()
                .and_then(Sampling::one_in)
                .with_context(|| format!("--assume-sampling {text}: not a number of packets"))
        };
        match text.split_once('=') {
            Some((exporter, n)) => {
                let exporter: IpAddr = exporter
                    .parse()
                    .with_context(|| format!("--assume-sampling {text}: no address"))?;
                assume.sampling_of.insert(exporter.to_canonical(), number(n)?);
            }
            None => assume.sampling = Some(number(text)?),
        }
    }
    Ok(assume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_records() {
        let mapped = Some("::ffff:10.0.0.1".parse().unwrap());
        let found = assume(mapped, &["::ffff:10.0.0.2=5".into(), "7".into()]).unwrap();
        assert_eq!(found.exporter, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(
            found.sampling_of.get(&"10.0.0.2".parse().unwrap()),
            Sampling::one_in(5).as_ref()
        );
        assert_eq!(found.sampling, Sampling::one_in(7));
        for bad in ["0", "x", "10.0.0.1=0", "x=1"] {
            assert!(assume(None, &[bad.into()]).is_err(), "{bad}");
        }
    }
}
