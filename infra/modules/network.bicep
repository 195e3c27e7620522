// The network of the private variant. Everything that the app calls goes through it, and out of it by one fixed address.
param token string
param location string
param tags object
param addressPrefix string = '10.42.0.0/16'

resource address 'Microsoft.Network/publicIPAddresses@2025-05-01' = {
  name: 'pip-dicom-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

// Sign-in keys, Event Grid and telemetry lie outside; a new subnet has no way out of its own.
resource gateway 'Microsoft.Network/natGateways@2025-05-01' = {
  name: 'ng-dicom-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    idleTimeoutInMinutes: 4
    publicIpAddresses: [{ id: address.id }]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-dicom-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 0)
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
          natGateway: { id: gateway.id }
          defaultOutboundAccess: false
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 1)
          privateEndpointNetworkPolicies: 'Disabled'
          defaultOutboundAccess: false
        }
      }
    ]
  }
}

output networkId string = network.id
output appSubnetId string = '${network.id}/subnets/app'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
