// SIG Network's engine of NetworkPolicies, for a cluster given by a kubeconfig; its own main function takes the
// credentials of the pod that it runs in.
package main

import (
	"context"
	"flag"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of a user that may list and watch namespaces, pods and policies")
	node := flag.String("node", "", "the node whose pods are protected")
	queue := flag.Int("queue", 100, "the queue of the packets that open a connection")
	klog.InitFlags(nil)
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		klog.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		nil, nil, nil, nil, // of AdminNetworkPolicies
		// With NRI, although no runtime is there: 0.8.0 without it ends at the first packet from no pod.
		networkpolicy.Config{NodeName: *node, QueueID: *queue},
	)
	if err != nil {
		klog.Fatal(err)
	}
	factory.Start(context.Background().Done())
	klog.Fatal(controller.Run(context.Background()))
}
