// Package kubetest gives tests a real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler as processes of their own, and KWOK in the place of a kubelet.
//
// # Parties
//
// [Build] compiles the five programs, at the versions that the nested module test/kube names, into a cache outside
// the checkout. The first build takes minutes; every later one finds the binaries by the hash of what they are built
// from. [Start] starts one [Cluster] of them. A test asks [Shared] for the one cluster of its test binary, and
// [Cluster.Namespace] for a place of its own in it; TestMain calls [Run], which stops that cluster.
//
// # What is real and what is not
//
// The API, admission, garbage collection, the Job controller and the scheduler are what they are in any cluster.
// Nodes and containers are not: there is one Node, which no machine stands behind, and KWOK writes its status and its
// pods' status as the pods' annotations say (see [AnnotationRun]). So nothing runs, there are no logs to read and no
// image is pulled; a pod is never evicted unless its annotations say so, and never restarted in place, whatever its
// restartPolicy.
//
// With [Options.Kubelet] there are a real Node and real containers in the place of KWOK.
//
// etcd does not fsync. The data of a cluster does not outlive it.
//
// # Processes
//
// Everything listens on 127.0.0.1 only. The programs are ended by SIGKILL, which is safe as nothing of them is kept.
// On Linux the kernel does the same to them when this process dies, however it dies; what a killed process leaves in
// the temporary folder, the next Start takes away. On other systems they outlive a process that is killed.
//
// A program that ends by itself while the cluster is up is not started again: requests fail, and [Cluster.Stop] still
// works. Only the API server can be killed and started again on purpose, at the same address and on the same data.
package kubetest
