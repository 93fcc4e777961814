//! Network cards: which network they come to, and under which address.

use super::SpecOptions;
use crate::vsphere::xml::Node;

/// A network at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Network {
    /// A standard one, by name.
    Standard {
        /// Its name.
        name: String,
    },
    /// A port group of a distributed switch.
    Distributed {
        /// The switch.
        switch_uuid: String,
        /// The port group.
        portgroup_key: String,
    },
    /// One of another product.
    Opaque {
        /// Its id.
        network_id: String,
        /// Its type.
        network_type: String,
    },
}

/// The card to be added, from the old one.
pub(super) fn card(old: &Node, options: &SpecOptions) -> Node {
    let mut children = vec![backing(old, options)];
    children.push(Node::of(
        "connectable",
        vec![
            flag("startConnected", old, true),
            flag("allowGuestControl", old, true),
            Node::leaf("connected", "false"),
        ],
    ));
    match (old.child_text("addressType"), old.child_text("macAddress")) {
        (Some(kind), Some(address)) if options.keep_mac => {
            children.push(Node::leaf("addressType", kind));
            children.push(Node::leaf("macAddress", address));
        }
        // The server gives a new one.
        _ => children.push(Node::leaf("addressType", "generated")),
    }
    children.extend(old.child("wakeOnLanEnabled").cloned());
    Node::of("device", children)
}

fn flag(name: &str, old: &Node, otherwise: bool) -> Node {
    let connectable = old.child("connectable");
    let text = connectable.and_then(|connectable| connectable.child_text(name));
    let otherwise = if otherwise { "true" } else { "false" };
    Node::leaf(name, text.unwrap_or(otherwise))
}

fn backing(old: &Node, options: &SpecOptions) -> Node {
    let backing = old.child("backing");
    let text = |name: &str| backing.and_then(|backing| backing.child_text(name));
    let port = backing.and_then(|backing| backing.child("port"));
    let group = port.and_then(|port| port.child_text("portgroupKey"));
    let key = text("deviceName").or(group).or(text("opaqueNetworkId"));
    let network = key.and_then(|key| options.networks.get(key)).cloned();
    let network = network.unwrap_or_else(|| match (group, text("opaqueNetworkId")) {
        (Some(group), _) => Network::Distributed {
            switch_uuid: port
                .and_then(|port| port.child_text("switchUuid"))
                .unwrap_or_default()
                .to_owned(),
            portgroup_key: group.to_owned(),
        },
        (None, Some(id)) => Network::Opaque {
            network_id: id.to_owned(),
            network_type: text("opaqueNetworkType").unwrap_or_default().to_owned(),
        },
        (None, None) => Network::Standard {
            name: text("deviceName").unwrap_or_default().to_owned(),
        },
    });
    match network {
        Network::Standard { name } => Node::of("backing", vec![Node::leaf("deviceName", name)])
            .typed("VirtualEthernetCardNetworkBackingInfo"),
        Network::Distributed {
            switch_uuid,
            portgroup_key,
        } => Node::of(
            "backing",
            vec![Node::of(
                "port",
                vec![
                    Node::leaf("switchUuid", switch_uuid),
                    Node::leaf("portgroupKey", portgroup_key),
                ],
            )],
        )
        .typed("VirtualEthernetCardDistributedVirtualPortBackingInfo"),
        Network::Opaque {
            network_id,
            network_type,
        } => Node::of(
            "backing",
            vec![
                Node::leaf("opaqueNetworkId", network_id),
                Node::leaf("opaqueNetworkType", network_type),
            ],
        )
        .typed("VirtualEthernetCardOpaqueNetworkBackingInfo"),
    }
}
