// The ways from the network to both storage accounts: blobs, queues and tables of each.
param location string
param tags object
param networkId string
param subnetId string
param hostStorageId string
param dicomStorageId string

var services = ['blob', 'queue', 'table']
var endpoints = [
  { name: 'host-blob', target: hostStorageId, service: 'blob', zone: 0 }
  { name: 'host-queue', target: hostStorageId, service: 'queue', zone: 1 }
  { name: 'host-table', target: hostStorageId, service: 'table', zone: 2 }
  { name: 'dicom-blob', target: dicomStorageId, service: 'blob', zone: 0 }
  { name: 'dicom-queue', target: dicomStorageId, service: 'queue', zone: 1 }
  { name: 'dicom-table', target: dicomStorageId, service: 'table', zone: 2 }
]

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [for service in services: {
  name: 'privatelink.${service}.${environment().suffixes.storage}'
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (service, i) in services: {
  parent: zones[i]
  name: 'dicom-${service}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: networkId }
  }
}]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [for endpoint in endpoints: {
  name: 'pe-${endpoint.name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: endpoint.name
        properties: { privateLinkServiceId: endpoint.target, groupIds: [endpoint.service] }
      }
    ]
  }
}]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [for (endpoint, i) in endpoints: {
  parent: privateEndpoints[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      { name: endpoint.service, properties: { privateDnsZoneId: zones[endpoint.zone].id } }
    ]
  }
}]
